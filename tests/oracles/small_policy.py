"""A policy that is built and run in milliseconds."""

from __future__ import annotations

from typing import Any

import torch

from mfpolicy.policy import Policy, PolicySpec

UNET = {"name": "unet1d", "widths": [16, 16, 16], "time_dim": 8}
MIXER = {"name": "mlp_mixer", "width": 16, "depth": 2, "step_hidden": 8, "time_dim": 8}


def small_policy(
    objective: str = "meanflow", *, network: dict[str, Any] = UNET, horizon: int = 4, **options
) -> Policy:
    """Two observed frames of eight points and a state of 5, chunks of actions of 2."""
    torch.manual_seed(0)
    spec = PolicySpec(
        preset="test",
        point_dim=3,
        state_dim=5,
        action_dim=2,
        n_obs_steps=2,
        horizon=horizon,
        n_action_steps=3,
        encoder={"name": "pointnet", "widths": [16, 16]},
        network=network,
        objective={"name": objective, **options},
        points=8,
    )
    return Policy(spec).eval()
