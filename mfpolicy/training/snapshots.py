"""Policies kept along a training, each a small run folder that can be evaluated by itself."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mfpolicy.policy import save_policy
from mfpolicy.training.run_folder import CONFIG, holds
from mfpolicy.types import DATA_FILE

if TYPE_CHECKING:
    import torch

    from mfpolicy.policy import Policy

FOLDER = "snapshots"


def snapshot_folder(run: Path, step: int) -> Path:
    """Where a run keeps the policy of a step."""
    return run / FOLDER / f"step-{step:08d}"


def save_snapshot(
    run: Path, step: int, policy: Policy, weights: Mapping[str, torch.Tensor]
) -> None:
    """Keeps the policy of a step; a resume that comes there again leaves the same one as it is.

    Raises:
        RunError: the disk refuses.
    """
    folder = snapshot_folder(run, step)
    if holds(folder, policy.spec, weights):
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, DATA_FILE):
        shutil.copyfile(run / name, folder / name)
    save_policy(policy, folder, state=dict(weights))


def kept_snapshots(run: Path) -> dict[int, Path]:
    """The policies that a run has kept: step → folder, in the order of steps."""
    found = {int(path.name.rpartition("-")[2]): path for path in run.glob(f"{FOLDER}/step-*")}
    return {step: found[step] for step in sorted(found)}
