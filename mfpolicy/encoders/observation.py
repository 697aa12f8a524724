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

    def forward(
        self,
        point_cloud: torch.Tensor,
        agent_pos: torch.Tensor,
        frame: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Returns the condition (B, output_dim).

        Args:
            point_cloud: (B, To, P, C), normalised.
            agent_pos: (B, To, S), normalised.
            frame: (B, To) int64 or None; equal numbers name the same frame, which is encoded once.
        """
        batch = point_cloud.shape[0]
        clouds, states = point_cloud.flatten(0, 1), agent_pos.flatten(0, 1)  # (B * To, …)
        if frame is None:
            return self._encode(clouds, states).reshape(batch, -1)
        unique, place = torch.unique(frame, return_inverse=True)
        if len(unique) == frame.numel():
            return self._encode(clouds, states).reshape(batch, -1)
        place = place.flatten()  # (B * To,), each frame's number among the unique ones
        one_of_each = place.new_empty(len(unique))
        one_of_each[place] = torch.arange(len(place), device=place.device)
        features = self._encode(clouds[one_of_each], states[one_of_each])
        # index_select: its gradient adds up in a fixed order on a CPU, that of indexing does not.
        return features.index_select(0, place).reshape(batch, -1)

    def _encode(self, clouds: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """(F, P, C) and (F, S) → (F, cloud ⊕ state features)."""
        return torch.cat([self.cloud(clouds), self.state(states)], dim=-1)
