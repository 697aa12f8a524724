"""What every point-cloud encoder offers."""

from __future__ import annotations

import torch
from torch import nn

from mfpolicy.registry import Registry

ENCODERS: Registry[CloudEncoder] = Registry("encoder")


class CloudEncoder(nn.Module):
    """One normalised point cloud → one feature vector.

    Attributes:
        point_dim: values per point: 3 for xyz, 6 with red, green and blue behind them. All are
            normalised.
        output_dim: size of the feature vector.
    """

    def __init__(self, *, point_dim: int, output_dim: int) -> None:
        super().__init__()
        self.point_dim = point_dim
        self.output_dim = output_dim

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """(F, P, point_dim) → (F, output_dim), F frames at once."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward()")
