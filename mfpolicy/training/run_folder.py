"""The run folder: claimed by one configuration, described by ``config.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mfpolicy.config.convert import leaves, to_mapping
from mfpolicy.config.schema import TrainConfig
from mfpolicy.errors import RunError

CONFIG = "config.yaml"
STATE = "training_state"
_FREE = ("resume", "device", "logging", "out", "data")
"""Keys that may differ between a run and its resume; the data are compared by content."""


def claim_run_folder(config: TrainConfig) -> Path:
    """Makes the run folder and writes ``config.yaml``, or checks the one that is there.

    Raises:
        RunError: the folder holds a run and ``resume`` is off, or holds a run of another
            configuration; the message lists each differing key with both values.
    """
    import yaml

    run = Path(config.out)
    path = run / CONFIG
    if path.is_file():
        if not config.resume:
            raise RunError(
                "the run folder must be new",
                received=str(run),
                remedy="go on with resume=true, or choose another out=",
            )
        _check_same(yaml.safe_load(path.read_text()), to_mapping(config), run)
        return run
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise RunError(
            "the run folder must be new or empty", received=str(run), remedy="choose another out="
        )
    run.mkdir(parents=True, exist_ok=True)
    temporary = run / f".{CONFIG}.writing"
    temporary.write_text(yaml.safe_dump(to_mapping(config), sort_keys=False))
    temporary.replace(path)
    return run


def _check_same(saved: Any, asked: dict[str, Any], run: Path) -> None:
    before, now = dict(leaves(saved or {})), dict(leaves(asked))
    changed = [
        f"{key}: {before.get(key)!r} -> {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if key.split(".")[0] not in _FREE and before.get(key) != now.get(key)
    ]
    if changed:
        raise RunError(
            f"a resumed run must keep the configuration of {run / CONFIG}",
            received="; ".join(changed),
            remedy="give the saved values, or choose another out=",
        )
