"""A policy on disk: weights and spec in one safetensors file. Nothing in it is ever executed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from mfpolicy.errors import BackendError, RunError
from mfpolicy.policy.policy import DRAWING_WEIGHTS, Policy
from mfpolicy.policy.spec import PolicySpec
from mfpolicy.policy.tensor_file import write_tensors

WEIGHTS = "model.safetensors"
SPEC_KEY = "mfpolicy_spec"
"""Where the metadata of a file hold the spec, as JSON."""


def save_policy(
    policy: Policy, folder: str | os.PathLike[str], *, state: dict[str, torch.Tensor] | None = None
) -> Path:
    """Writes ``model.safetensors`` into a run folder; readers see the old file or the new one.

    Args:
        policy: its spec, and its weights unless ``state`` is given.
        folder: run folder, made if missing.
        state: weights to write in place of the policy's own, for example their EMA.

    Returns:
        The path of the file.

    Raises:
        RunError: the disk is full or the folder cannot be written; an older file is as it was.
    """
    path = Path(folder) / WEIGHTS
    tensors = state if state is not None else policy.state_dict()
    write_tensors(path, tensors, {SPEC_KEY: json.dumps(policy.spec.to_dict())})
    return path


def read_spec(run: str | os.PathLike[str]) -> PolicySpec:
    """Reads what a saved policy is, without its weights.

    Raises:
        RunError: the file is missing, damaged, or not a policy of this package.
    """
    return read_policy(run)[0]


def load_policy(
    run: str | os.PathLike[str], device: str | torch.device = "cpu", *, task: str | None = None
) -> Policy:
    """Loads a trained policy from its run folder, or from a ``.safetensors`` file.

    Args:
        run: run folder, or the file itself.
        device: where the policy goes, for example ``cpu`` or ``cuda``.
        task: which of its tasks it is to do, see :meth:`Policy.for_task`; None leaves it open.

    Raises:
        RunError: the file is missing, damaged, or not a policy of this package.
        BackendError: this machine has no such device.
        TaskError: the policy was not trained for the task.

    Example:
        >>> policy = load_policy("runs/drawer-open")        # doctest: +SKIP
    """
    device = check_device(device)
    spec, tensors = read_policy(run, weights=True)
    with DRAWING_WEIGHTS:
        policy = Policy(spec)
    own = {name: tuple(value.shape) for name, value in policy.state_dict().items()}
    stored = {name: tuple(value.shape) for name, value in tensors.items()}
    if own != stored:
        differing = sorted(set(own.items()) ^ set(stored.items()))[:4]
        raise RunError(
            f"the weights in {run} must fit their own spec",
            received=differing,
            remedy="the file was changed or written by another version; train again",
        )
    policy.load_state_dict(tensors)
    policy = policy.to(device).eval()
    return policy if task is None else policy.for_task(task)


def check_device(device: str | torch.device) -> torch.device:
    """Returns the torch device of this name; ``auto`` is a GPU where there is one.

    Raises:
        BackendError: the name is no device, or this machine has no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise BackendError(
            "device must be one that this machine has",
            received=str(device),
            remedy="use device=cpu, or run `mfpolicy doctor`",
        ) from error
    return torch.device(device)


def read_policy(
    run: str | os.PathLike[str], *, weights: bool = False
) -> tuple[PolicySpec, dict[str, torch.Tensor]]:
    """Reads a saved policy without building it.

    Args:
        run: run folder, or the file itself.
        weights: read them too; else there are none.

    Raises:
        RunError: the file is missing, damaged, or not a policy of this package.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(run)
    path = path if path.suffix == ".safetensors" else path / WEIGHTS
    if not path.is_file():
        raise RunError(
            f"a run folder must hold {WEIGHTS}",
            received=str(run),
            remedy="check the path, or train first with `mfpolicy train … out=<run folder>`",
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            names = list(file.keys()) if weights else []
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise RunError(
            f"{path} must be a whole safetensors file",
            received=str(error),
            remedy="copy it again, or go on from its last checkpoint with resume=true",
        ) from error
    return parse_spec(path, metadata), tensors


def parse_spec(path: Path, metadata: dict[str, Any]) -> PolicySpec:
    """Returns the spec that the metadata of a file hold.

    Raises:
        RunError: they hold none, or one of another version.
    """
    try:
        return PolicySpec(**json.loads(metadata[SPEC_KEY]))
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise RunError(
            f"{path} must carry the spec of an mfpolicy policy",
            received=repr(error),
            remedy="load files that mfpolicy wrote",
        ) from error
