"""Tokens of a point cloud: local features of groups of points, which attend to one another.

Centres are spread over the cloud, the points nearest to each are summarised by a small PointNet,
the centre's position is embedded and added, and a few pre-norm attention layers relate the
groups. The result is K tokens; a network that can attend to them sees where something is, and one
that cannot takes their maximum.

Source: the grouping of Yu et al. 2022 (Point-BERT); attention over all groups as there, on few
enough tokens that it costs less than the PointNet.
"""

from __future__ import annotations

import torch
from torch import nn

from mfpolicy.encoders.attention import AttentionLayer
from mfpolicy.encoders.base import ENCODERS, CloudEncoder
from mfpolicy.encoders.grouping import at_least, check_groups, choose_centers, group
from mfpolicy.encoders.point_layers import point_mlp, projection
from mfpolicy.options import check_whole


@ENCODERS.register("point_transformer")
class PointTransformer(CloudEncoder):
    """Groups of points → tokens, and the maximum over the tokens → vector.

    A repeated point takes the place of another neighbour, so repeats do change the features. With
    ``centers="first"`` the order of the points matters as well.

    Args:
        point_dim: values per point.
        tokens: K, groups of a cloud.
        neighbours: points of a group.
        width: D, size of a token.
        layers: attention layers; 0 leaves the groups to themselves.
        heads: of each attention, a divisor of ``width``.
        output_dim: size of the vector.
        centers: how they are chosen, ``farthest`` or ``first``; see
            :func:`mfpolicy.encoders.grouping.choose_centers`.

    Raises:
        ConfigError: a number is out of range, or heads do not divide the width.

    Example:
        >>> vector, tokens = PointTransformer(point_dim=3).with_tokens(torch.zeros(2, 512, 3))
        >>> vector.shape, tokens.shape
        (torch.Size([2, 64]), torch.Size([2, 32, 128]))
    """

    ignores_repeats = False

    def __init__(
        self,
        *,
        point_dim: int,
        tokens: int = 32,
        neighbours: int = 16,
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        output_dim: int = 64,
        centers: str = "farthest",
    ) -> None:
        super().__init__(point_dim=point_dim, output_dim=output_dim)
        check_groups(centers, tokens, neighbours)
        check_whole("layers", layers, 0, 64)
        self.tokens, self.token_dim = tokens, width
        self.neighbours, self.centers = neighbours, centers
        self.ignores_order, self.least_points = centers == "farthest", neighbours
        self.local = point_mlp(point_dim, (width // 2, width))
        self.position = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, width))
        self.layers = nn.ModuleList(AttentionLayer(width, heads=heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.projection = projection(width, output_dim)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """(F, P, point_dim) → (F, output_dim)."""
        return self.with_tokens(points)[0]

    def with_tokens(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(F, P, point_dim) → the vector (F, output_dim) and the tokens (F, K, D)."""
        points = at_least(points, self.neighbours)
        centers = choose_centers(points, self.tokens, self.centers)
        middle, groups = group(points, centers, self.neighbours)
        x = self.local(groups).amax(dim=2) + self.position(middle)
        for layer in self.layers:
            x = layer(x)
        tokens = self.norm(x)
        return self.projection(tokens.amax(dim=1)), tokens
