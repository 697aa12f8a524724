"""Robot state → feature."""

from __future__ import annotations

import torch
from torch import nn


class StateEncoder(nn.Module):
    """Two-layer MLP over the robot state (DP3's form).

    Args:
        state_dim: S.
        hidden_dim: width of the hidden layer.
        output_dim: size of the feature.
    """

    def __init__(self, *, state_dim: int, hidden_dim: int = 64, output_dim: int = 64) -> None:
        super().__init__()
        self.output_dim = output_dim
        self.mlp = nn.Sequential(
            nn.Linear(state_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, output_dim)
        )

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """(F, S) → (F, output_dim)."""
        return self.mlp(state)
