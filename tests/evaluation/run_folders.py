"""Run folders with a small real policy for the fake task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import yaml

from evaluation.fakes import TASK
from mfpolicy.policy import Policy, PolicySpec, save_policy

STEPS = 40


def write_run(folder: Path, *, weights_seed: int = 0, **spec_changes: Any) -> Path:
    """A whole run folder: untrained policy with random weights, configuration, metrics."""
    spec = {
        "preset": "tiny",
        "point_dim": 3,
        "state_dim": TASK.state_dim,
        "action_dim": TASK.action_dim,
        "n_obs_steps": 2,
        "horizon": 4,
        "n_action_steps": 3,
        "encoder": {"name": "pointnet", "widths": [8, 16], "output_dim": 8},
        "network": {"name": "unet1d", "widths": [16, 16], "groups": 4, "time_dim": 16},
        "objective": {"name": "meanflow"},
        "points": 16,
        "task": TASK.name,
        "control_rate_hz": TASK.control_rate_hz,
        **spec_changes,
    }
    policy = Policy(PolicySpec(**spec))
    generator = torch.Generator().manual_seed(weights_seed)
    with torch.no_grad():
        for weight in policy.parameters():
            weight.normal_(std=0.2, generator=generator)
    save_policy(policy, folder)
    config = {
        "task": TASK.name,
        "data": "data/reach.zarr",
        "seed": 3,
        "training": {"steps": STEPS, "batch_size": 32, "learning_rate": 1e-3},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    lines = [
        {"step": step, "loss": 2.0 / step, "samples_per_s": 900.0, "mse": 1.0 / step}
        for step in range(1, STEPS + 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
