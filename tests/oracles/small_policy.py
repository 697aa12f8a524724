"""A policy that is built and run in milliseconds."""

from __future__ import annotations

import torch

from mfpolicy.policy import Policy, PolicySpec


def small_policy(objective: str = "meanflow", **options) -> Policy:
    """Two observed frames of eight points and a state of 5, chunks of four actions of 2."""
    torch.manual_seed(0)
    spec = PolicySpec(
        preset="test",
        point_dim=3,
        state_dim=5,
        action_dim=2,
        n_obs_steps=2,
        horizon=4,
        n_action_steps=3,
        encoder={"name": "pointnet", "widths": [16, 16]},
        network={"name": "unet1d", "widths": [16, 16, 16], "time_dim": 8},
        objective={"name": objective, **options},
        points=8,
    )
    return Policy(spec).eval()
