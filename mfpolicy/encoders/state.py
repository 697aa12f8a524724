"""Robot state → feature."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class StateOptions:
    """Sizes of the state encoder.

    Attributes:
        hidden_dim: width of the hidden layer.
        output_dim: size of the feature.
    """

    hidden_dim: int = 64
    output_dim: int = 64


class StateEncoder(nn.Module):
    """Two-layer MLP over the robot state (DP3's form).

    Args:
        options: its sizes.
        state_dim: S.

    Example:
        >>> StateEncoder(StateOptions(), state_dim=9)(torch.zeros(5, 9)).shape
        torch.Size([5, 64])
    """

    def __init__(self, options: StateOptions, *, state_dim: int) -> None:
        super().__init__()
        self.output_dim = options.output_dim
        self.mlp = nn.Sequential(
            nn.Linear(state_dim, options.hidden_dim),
            nn.ReLU(),
            nn.Linear(options.hidden_dim, options.output_dim),
        )

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """(F, S) → (F, output_dim)."""
        return self.mlp(state)
