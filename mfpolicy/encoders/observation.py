"""Observation history → condition."""

from __future__ import annotations

import torch
from torch import nn

from mfpolicy.encoders.base import CloudEncoder
from mfpolicy.encoders.state import StateEncoder


class ObservationEncoder(nn.Module):
    """Encodes each frame's cloud and state and concatenates the frames.

    Args:
        cloud: the point-cloud encoder.
        state: the robot-state encoder.
        n_obs_steps: To.
    """

    def __init__(self, cloud: CloudEncoder, state: StateEncoder, *, n_obs_steps: int) -> None:
        super().__init__()
        self.cloud = cloud
        self.state = state
        self.output_dim = n_obs_steps * (cloud.output_dim + state.output_dim)

    def forward(self, point_cloud: torch.Tensor, agent_pos: torch.Tensor) -> torch.Tensor:
        """(B, To, P, C) and (B, To, S), both normalised → condition (B, output_dim)."""
        batch = len(point_cloud)
        clouds = self.cloud(point_cloud.flatten(0, 1))  # (B * To, cloud features)
        states = self.state(agent_pos.flatten(0, 1))  # (B * To, state features)
        return torch.cat([clouds, states], dim=-1).reshape(batch, -1)
