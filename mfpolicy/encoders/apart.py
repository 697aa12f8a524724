"""Clouds of several cameras, each through an encoder of its own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from mfpolicy.encoders.base import CloudEncoder
from mfpolicy.errors import ObservationError


class Apart(CloudEncoder):
    """K clouds that lie in turns in one → their vectors side by side, their tokens in a row.

    Point i is of cloud i mod K, as :class:`~mfpolicy.pointcloud.PointCloudRecipe` has it. Each
    cloud has an encoder with weights of its own; within a cloud, order and repeats of points are
    what they are to that encoder.

    Args:
        build: makes an encoder; called K times.
        clouds: K, at least 2.

    Example:
        >>> from mfpolicy.encoders import PointNet
        >>> Apart(lambda: PointNet(point_dim=3), clouds=2)(torch.zeros(5, 512, 3)).shape
        torch.Size([5, 128])
    """

    ignores_order = False
    ignores_repeats = False

    def __init__(self, build: Callable[[], CloudEncoder], clouds: int) -> None:
        encoders = [build() for _ in range(clouds)]
        one = encoders[0]
        super().__init__(point_dim=one.point_dim, output_dim=clouds * one.output_dim)
        self.tokens, self.token_dim = clouds * one.tokens, one.token_dim
        # a graph with a free number of points takes one point of a cloud for a constant
        self.least_points = clouds * max(2, one.least_points)
        self.encoders = nn.ModuleList(encoders)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """(F, P, point_dim) → (F, output_dim)."""
        pairs = zip(self.encoders, self._clouds(points), strict=True)
        return torch.cat([encoder(cloud) for encoder, cloud in pairs], dim=1)

    def with_tokens(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(F, P, point_dim) → the vectors (F, output_dim) and the tokens (F, K · of one, D)."""
        pairs = zip(self.encoders, self._clouds(points), strict=True)
        encoded = [encoder.with_tokens(cloud) for encoder, cloud in pairs]  # type: ignore[operator]
        vectors, tokens = zip(*encoded, strict=True)
        return torch.cat(vectors, dim=1), torch.cat(tokens, dim=1)

    def _clouds(self, points: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(F, P, C) → K of (F, P / K, C)."""
        clouds = len(self.encoders)
        if points.shape[1] % clouds:
            raise ObservationError(
                "points of clouds that are encoded apart must be a multiple of their number",
                received=f"{points.shape[1]} points, {clouds} clouds",
                remedy="take as many points of each camera, in turns",
            )
        return points.unflatten(1, (-1, clouds)).unbind(2)
