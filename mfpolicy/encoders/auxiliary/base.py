"""What every auxiliary loss offers: a head on what the encoder made, needed in training alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mfpolicy.encoders.observation import Encoded
from mfpolicy.options import check_range
from mfpolicy.registry import Registry
from mfpolicy.types import Batch

AUXILIARIES: Registry[Auxiliary] = Registry("auxiliary loss")


@dataclass(frozen=True)
class Sizes:
    """What a head is built for.

    Attributes:
        cloud_dim: size of a cloud's vector. vector_dim: size of a frame's fused vector.
        state_dim: S. action_dim: A. n_obs_steps: To.
    """

    cloud_dim: int
    vector_dim: int
    state_dim: int
    action_dim: int
    n_obs_steps: int


class Auxiliary(nn.Module):
    """A loss that asks the encoder for more than actions need, added to the objective's.

    Args:
        sizes: of what it is built on.
        weight: factor on its loss.

    Raises:
        ConfigError: the weight is negative.
    """

    def __init__(self, *, sizes: Sizes, weight: float) -> None:
        super().__init__()
        check_range("weight", weight, 0, float("inf"))
        self.sizes = sizes
        self.weight = weight

    def forward(self, encoded: Encoded, seen: Batch) -> torch.Tensor:
        """Returns the loss, a scalar, unweighted.

        Args:
            encoded: what the encoder made of ``seen``.
            seen: the batch, normalised.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement forward()")


def head(before: int, hidden: int, after: int) -> nn.Sequential:
    """Linear → ReLU → linear, (…, before) → (…, after)."""
    return nn.Sequential(nn.Linear(before, hidden), nn.ReLU(), nn.Linear(hidden, after))
