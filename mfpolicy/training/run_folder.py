"""The run folder: claimed by one configuration and one dataset, each described in a file."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfpolicy.config.convert import leaves, to_mapping
from mfpolicy.config.schema import TrainConfig
from mfpolicy.data.durable import PARTIAL_SUFFIX, write_durably
from mfpolicy.errors import RunError
from mfpolicy.policy.spec import union_of_seeds
from mfpolicy.training.checkpoint import newest_state
from mfpolicy.types import DATA_FILE, DATASETS

if TYPE_CHECKING:
    import torch

    from mfpolicy.policy import PolicySpec

CONFIG = "config.yaml"
STATE = "training_state"
FORCED = "forced_resumes.jsonl"
BEGAN = "began_with.json"
"""May be there before the run: what whoever starts it notes of code and machine."""
_FREE = ("resume", "device", "logging", "out", "data")
"""Keys that may differ between a run and its resume; the data are compared by content."""
_EARLIER = "earlier_seeds"
_OWN = {name for file in (CONFIG, DATA_FILE, BEGAN) for name in (file, file + PARTIAL_SUFFIX)}
_SHOWN = 60


@dataclass(frozen=True)
class Claim:
    """A run folder that fits a configuration and a dataset; nothing is written to it yet.

    Attributes:
        run: the folder.
        changed: each difference to the run in the folder that ``resume=force`` accepts.
        seeds: of all demonstrations the run has seen, those before a forced change included;
            None where they are unknown.
        seeds_of: of several tasks, by task its ``demonstration_seeds``, likewise; else empty.
    """

    run: Path
    changed: tuple[str, ...]
    seeds: list[int] | None
    seeds_of: Mapping[str, Mapping[str, list[int] | None]]
    _described: Mapping[str, Mapping[str, Any]]

    def take(self) -> Path:
        """Makes the folder and describes the run in it, unless it is described already.

        Forced changes are told by a warning and by a line of ``forced_resumes.jsonl``.

        Raises:
            RunError: the folder cannot be written.
        """
        try:
            if self.changed:
                self._record()
            if self.changed or not (self.run / CONFIG).is_file():
                self._describe()
        except OSError as error:
            raise RunError(
                f"the run folder {self.run} must be writable",
                received=str(error),
                remedy="free disk space and check the permissions, or choose another out=",
            ) from error
        if self.changed:
            told = "; ".join(self.changed)
            warnings.warn(f"{self.run} goes on with changes: {told}", stacklevel=3)
        return self.run

    def _describe(self) -> None:
        """Writes the descriptions, the one that claims the folder last."""
        import yaml

        for name in (DATA_FILE, CONFIG):
            values = dict(self._described[name])
            text = yaml.safe_dump(values, sort_keys=False, default_flow_style=None)
            write_durably(self.run / name, text.encode())

    def _record(self) -> None:
        path, checkpoint = self.run / FORCED, newest_state(self.run / STATE)
        record = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "newest_checkpoint": checkpoint and checkpoint.name,
            "changed": self.changed,
        }
        before = path.read_bytes() if path.is_file() else b""
        write_durably(path, before + json.dumps(record).encode() + b"\n")


def claim_run_folder(config: TrainConfig, data: Mapping[str, Any]) -> Claim:
    """Checks that the run folder is new, or holds this run and is to be resumed.

    Args:
        config: with ``resume=force`` the folder may hold a run of another configuration or
            dataset, which goes on with this one.
        data: what :func:`~mfpolicy.training.data_description.describe_data` says of the dataset.

    Raises:
        RunError: the folder holds a run and ``resume`` is off, or holds a run of another
            configuration or dataset (the message lists each difference with both values), or
            holds something else.
    """
    run = Path(config.out)
    asked = {CONFIG: to_mapping(config), DATA_FILE: dict(data)}
    if not (run / CONFIG).is_file():
        _require_empty(run)
        return Claim(run, (), _seeds(data), _seeds_of(data), asked)
    if not config.resume:
        raise RunError(
            "the run folder must be new",
            received=str(run),
            remedy="go on with resume=true, or choose another out=",
        )
    saved = {name: _read(run / name, forced=config.resume == "force") for name in asked}
    changed = [
        f"{name}: {each}" for name in asked for each in _differences(saved[name], asked[name])
    ]
    if changed and config.resume != "force":
        raise RunError(
            "a resumed run must keep its configuration and data",
            received="; ".join(changed),
            remedy="give the saved values, choose another out=, or accept the change with "
            "resume=force",
        )
    described = _with_earlier(asked[DATA_FILE], saved[DATA_FILE])
    asked[DATA_FILE] = described
    return Claim(run, tuple(changed), _seeds(described), _seeds_of(described), asked)


def holds(run: Path, spec: PolicySpec, weights: Mapping[str, torch.Tensor]) -> bool:
    """Whether the run's saved policy is this one, so that its file may stay as it is.

    A file of an earlier version is another only where an option differs: evaluations and students
    know the file by its content, and a header with options that are off would make it a new one.
    """
    from mfpolicy.policy.files import read_policy

    try:
        saved, stored = read_policy(run, weights=True)
    except RunError:  # none yet, or damaged
        return False
    own = json.loads(json.dumps(spec.to_dict()))
    theirs = json.loads(json.dumps(saved.to_dict()))
    if any(_differences(theirs, own)) or stored.keys() != weights.keys():
        return False
    return all(stored[name].equal(value.cpu()) for name, value in weights.items())


def _require_empty(run: Path) -> None:
    if run.exists() and (not run.is_dir() or {path.name for path in run.iterdir()} - _OWN):
        raise RunError(
            "the run folder must be new or empty", received=str(run), remedy="choose another out="
        )


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    old, new = dict(leaves(before)), dict(leaves(now))
    for key in {**new, **old}:
        if key not in old and not new[key]:
            continue  # an option of a later version, off: what the run did without it
        if key.split(".")[0] in _FREE or key.rpartition(".")[2] == _EARLIER:
            continue
        if old.get(key) != new.get(key):
            yield f"{key}: {_short(old.get(key))} -> {_short(new.get(key))}"


def _short(value: Any) -> str:
    text = repr(value)
    half = _SHOWN // 2
    return text if len(text) <= _SHOWN else f"{text[:half]}…{text[-half:]}"


def _with_earlier(data: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """The description of the data with the seeds that the run saw before, each by its task."""
    if DATASETS not in data:
        return {**data, _EARLIER: _seeds(saved)}
    before = saved.get(DATASETS, {})
    joined = {t: _with_earlier(own, before.get(t, {})) for t, own in data[DATASETS].items()}
    return {**data, DATASETS: joined}


def _seeds_of(data: Mapping[str, Any]) -> dict[str, dict[str, list[int] | None]]:
    return {t: {"demonstration_seeds": _seeds(own)} for t, own in data.get(DATASETS, {}).items()}


def _seeds(data: Mapping[str, Any]) -> list[int] | None:
    if DATASETS in data:
        return union_of_seeds(*(_seeds(own) for own in data[DATASETS].values()))
    return union_of_seeds(data.get("seeds"), data.get(_EARLIER))


def _read(path: Path, *, forced: bool) -> dict[str, Any]:
    import yaml

    try:
        values = yaml.safe_load(path.read_bytes())
        if not isinstance(values, dict):
            raise ValueError("no mapping")
    except (OSError, ValueError, yaml.YAMLError) as error:
        if forced:
            return {}
        raise RunError(
            f"a run folder must hold a whole {path.name}",
            received=f"{path}: {error}",
            remedy="put it back, or have it written anew with resume=force",
        ) from error
    return values
