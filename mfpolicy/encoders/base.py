"""What every point-cloud encoder offers."""

from __future__ import annotations

import torch
from torch import nn

from mfpolicy.errors import ConfigError
from mfpolicy.registry import Registry

ENCODERS: Registry[CloudEncoder] = Registry("encoder")


class CloudEncoder(nn.Module):
    """One normalised point cloud → one feature vector, and for some encoders tokens beside it.

    Attributes:
        point_dim: values per point: 3 for xyz, 6 with red, green and blue behind them. All are
            normalised.
        output_dim: size of the feature vector.
        tokens: K, local features of a cloud that :meth:`with_tokens` returns; 0 for encoders that
            have none. token_dim: size of one, D.
        ignores_order: the vector does not depend on the order of the points.
        ignores_repeats: a point that is there twice counts as once.
        least_points: fewest points of a cloud that an exported graph takes; in PyTorch a smaller
            cloud is repeated.
    """

    ignores_order: bool = True
    ignores_repeats: bool = True
    least_points: int = 1
    tokens: int = 0
    token_dim: int = 0

    def __init__(self, *, point_dim: int, output_dim: int) -> None:
        super().__init__()
        self.point_dim = point_dim
        self.output_dim = output_dim

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """(F, P, point_dim) → (F, output_dim), F frames at once."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward()")

    def with_tokens(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(F, P, point_dim) → the vector (F, output_dim) and the tokens (F, K, D).

        Raises:
            ConfigError: this encoder has no tokens.
        """
        raise ConfigError(
            "tokens of a point cloud need an encoder that has them",
            received=type(self).__name__,
            remedy="use encoder=point_transformer",
        )
