"""Training state on disk: atomic, the last two kept, a damaged newest one passed over."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mfpolicy.errors import RunError

KEPT = 2
_META = "mfpolicy_training"


@dataclass(frozen=True)
class TrainingState:
    """What a resume needs.

    Attributes:
        step: optimizer steps done.
        tensors: weights, averages and optimizer moments by prefixed name.
        fingerprint: of the data it was trained on.
        numbers: seconds trained, and what else a resume takes up, by name.
    """

    step: int
    tensors: dict[str, torch.Tensor]
    fingerprint: str
    numbers: dict[str, float] = field(default_factory=dict)


def save_state(folder: Path, state: TrainingState) -> Path:
    """Writes ``step-N.safetensors`` and drops all but the newest two.

    A crash at any moment leaves the older files whole: the new one appears by a rename, after its
    bytes are on disk.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{state.step:08d}.safetensors"
    temporary = folder / f".{path.name}.writing"
    facts = {
        "step": state.step,
        "fingerprint": state.fingerprint,
        "numbers": state.numbers,
    }
    metadata = {_META: json.dumps(facts)}
    try:
        save_file(state.tensors, temporary, metadata=metadata)
        _sync(temporary)
        temporary.replace(path)
        _sync(folder)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise RunError(
            f"the checkpoint of step {state.step} must be written to {folder}",
            received=str(error),
            remedy="free disk space, then go on from the previous checkpoint with resume=true",
        ) from error
    for old in _files(folder)[KEPT:]:
        old.unlink()
    return path


def load_state(folder: Path) -> TrainingState | None:
    """Returns the newest whole state, or None where there is none.

    A file that cannot be read is reported by a warning and the one before it is taken.
    """
    for path in _files(folder):
        try:
            return _read(path)
        except RunError as error:
            warnings.warn(f"passed over a damaged checkpoint: {error}", stacklevel=2)
    return None


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


def _files(folder: Path) -> list[Path]:
    """Checkpoints of the folder, newest first."""
    names = [path for path in folder.glob("step-*.safetensors") if re.search(r"-\d+\.", path.name)]
    return sorted(names, key=lambda path: int(path.stem.split("-")[1]), reverse=True)


def _read(path: Path) -> TrainingState:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            meta: dict[str, Any] = json.loads((file.metadata() or {})[_META])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise RunError(f"{path} must be a whole checkpoint", received=repr(error)) from error
    return TrainingState(meta["step"], tensors, meta["fingerprint"], meta.get("numbers", {}))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
