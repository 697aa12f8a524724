"""Training state on disk: atomic, checked, the last two kept, a damaged newest one passed over."""

from __future__ import annotations

import json
import re
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mfpolicy.errors import RunError
from mfpolicy.policy.tensor_file import discard_unfinished, write_tensors

KEPT = 2
_META = "mfpolicy_training"
_SUFFIX, _DAMAGED = ".safetensors", ".damaged"


@dataclass(frozen=True)
class TrainingState:
    """What a resume needs.

    Attributes:
        step: optimizer steps done.
        tensors: weights, averages, optimizer moments and metrics of steps that no line of the log
            has told yet, by prefixed name.
        numbers: seconds trained, and what else a resume takes up, by name.
    """

    step: int
    tensors: dict[str, torch.Tensor]
    numbers: dict[str, float] = field(default_factory=dict)


def save_state(folder: Path, state: TrainingState) -> Path:
    """Writes ``step-N.safetensors`` and keeps, beside it, the one before it.

    A crash at any moment leaves the older files whole: the new one appears by a rename, after its
    bytes are on disk, and only then are others removed.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    path = folder / f"step-{state.step:08d}{_SUFFIX}"
    facts = {"step": state.step, "numbers": state.numbers, "checksum": _checksum(state)}
    write_tensors(path, state.tensors, {_META: json.dumps(facts)})
    _keep_two(folder, state.step)
    for damaged in _files(folder, _DAMAGED):
        damaged.unlink()
    return path


def load_state(folder: Path, *, tidy: bool = True) -> TrainingState | None:
    """Returns the newest whole state, or None where the run has none yet.

    A damaged file is reported by a warning, set aside until the next checkpoint is written, and
    the one before it is taken. Before the first checkpoint comes the start of the run.

    Args:
        folder: of the checkpoints.
        tidy: report damage and remove what a killed writer left; of processes that train together
            one does so.

    Raises:
        RunError: every checkpoint of a run that had more than one is damaged.
    """
    damaged: dict[Path, RunError] = {}
    state = None
    for path in _files(folder):
        try:
            state = _read(path)
            break
        except RunError as error:
            damaged[path] = error
    if state is None and len(damaged) + len(_files(folder, _DAMAGED)) >= KEPT:
        raise RunError(
            f"a resumed run must have a whole checkpoint in {folder}",
            received="; ".join(map(str, damaged.values())),
            remedy=f"put a copy of one of them back, or remove {folder} to start from step 0",
        )
    if tidy:
        discard_unfinished(folder)
        for path, error in damaged.items():
            warnings.warn(f"passed over a damaged checkpoint: {error}", stacklevel=2)
            path.replace(path.with_suffix(_DAMAGED))
        if state is not None:
            _keep_two(folder, state.step)
    return state


def require_fit(
    state: TrainingState, weights: Mapping[str, torch.Tensor], *, steps: int | None
) -> None:
    """Refuses a state whose run was given another network or fewer steps than it has done.

    Args:
        state: what was saved.
        weights: the state dict of the policy that takes it up.
        steps: optimizer steps of the whole run, None where its end is a time.

    Raises:
        RunError: a shape differs, or the state is beyond ``steps``.
    """
    own = {name: tuple(value.shape) for name, value in weights.items()}
    saved = {name: tuple(v.shape) for name, v in unflatten("policy", state.tensors).items()}
    changed = [name for name in sorted({**own, **saved}) if own.get(name) != saved.get(name)]
    if changed:
        raise RunError(
            "a resumed run must keep the shapes of its weights, whatever is forced",
            received=[f"{name}: {saved.get(name)} -> {own.get(name)}" for name in changed[:4]],
            remedy="keep network, encoder and the data's dimensions, or choose another out=",
        )
    if steps is not None and state.step > steps:
        raise RunError(
            f"the steps of a resumed run must be at least the {state.step} that are done",
            received=steps,
            remedy="set more steps, or choose another out=",
        )


def newest_state(folder: Path) -> Path | None:
    """Returns the newest checkpoint's file, None where there is none."""
    return next(iter(_files(folder)), None)


def flatten(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns the tensors under ``prefix/name``, copied to the CPU."""
    return {
        f"{prefix}/{name}": value.detach().cpu().contiguous() for name, value in tensors.items()
    }


def unflatten(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns what :func:`flatten` filed under ``prefix``."""
    start = f"{prefix}/"
    return {name[len(start) :]: value for name, value in tensors.items() if name.startswith(start)}


def _files(folder: Path, suffix: str = _SUFFIX) -> list[Path]:
    """Checkpoints of the folder, newest first."""
    names = [file for file in folder.glob(f"step-*{suffix}") if re.search(r"-\d+\.", file.name)]
    return sorted(names, key=_step, reverse=True)


def _keep_two(folder: Path, step: int) -> None:
    """Removes all checkpoints but that of ``step`` and the one before it."""
    up_to_step = [file for file in _files(folder) if _step(file) <= step]
    for file in _files(folder):
        if file not in up_to_step[:KEPT]:
            file.unlink()


def _step(path: Path) -> int:
    return int(path.stem.split("-")[1])


def _read(path: Path) -> TrainingState:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            meta: dict[str, Any] = json.loads((file.metadata() or {})[_META])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state, checksum = TrainingState(meta["step"], tensors, meta["numbers"]), meta["checksum"]
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} must be a whole checkpoint", received=repr(error)) from error
    if checksum != _checksum(state):
        raise RunError(
            f"{path} must be a whole checkpoint", received="values that fail their checksum"
        )
    return state


def _checksum(state: TrainingState) -> int:
    """CRC-32 of step and tensors: a power cut can leave zeros in a file of full size."""
    value = zlib.crc32(json.dumps([state.step, state.numbers]).encode())
    for name, tensor in sorted(state.tensors.items()):
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        value = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), value)
        value = zlib.crc32(flat.view(torch.uint8).numpy().data, value)
    return value
