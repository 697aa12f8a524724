"""Set abstraction of PointNet++: features of neighbourhoods, of neighbourhoods of these, of all.

Each level chooses centres, describes every point near a centre by its offset from it and by its
own feature, sends the descriptions through one MLP and takes their maximum. The last level takes
all centres as one neighbourhood. Layer norm stands where the published form has batch norm, whose
running statistics an averaged policy and a batch of one do not share. Neighbours are the nearest
points, not those of a ball: a cloud has no fixed density here.

Source: Qi et al. 2017, "PointNet++: Deep Hierarchical Feature Learning on Point Sets".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mfpolicy.encoders.base import ENCODERS, CloudEncoder
from mfpolicy.encoders.grouping import at_least, check_groups, choose_centers, group
from mfpolicy.encoders.point_layers import point_mlp, projection
from mfpolicy.errors import ConfigError


@ENCODERS.register("set_abstraction")
class SetAbstraction(CloudEncoder):
    """PointNet++ of two levels and a global one, with layer norm.

    A repeated point takes the place of another neighbour, so repeats do change the feature. With
    ``centers="first"`` the order of the points matters as well.

    Args:
        point_dim: values per point.
        counts: centres of each level, falling.
        neighbours: points of a centre's group, for each level.
        widths: channels of each level's two-layer MLP at its end, and of the global level.
        output_dim: size of the projected feature.
        centers: how they are chosen, ``farthest`` or ``first``; see
            :func:`mfpolicy.encoders.grouping.choose_centers`.

    Raises:
        ConfigError: the levels do not fit one another.

    Example:
        >>> SetAbstraction(point_dim=3)(torch.zeros(2, 512, 3)).shape
        torch.Size([2, 64])
    """

    ignores_repeats = False

    def __init__(
        self,
        *,
        point_dim: int,
        counts: Sequence[int] = (64, 16),
        neighbours: Sequence[int] = (16, 8),
        widths: Sequence[int] = (64, 128, 256),
        output_dim: int = 64,
        centers: str = "farthest",
    ) -> None:
        super().__init__(point_dim=point_dim, output_dim=output_dim)
        _check(counts, neighbours, widths, centers)
        self.counts, self.neighbours, self.centers = tuple(counts), tuple(neighbours), centers
        self.ignores_order, self.least_points = centers == "farthest", neighbours[0]
        self.levels = nn.ModuleList()
        dim = point_dim
        for width in widths[:-1]:
            self.levels.append(point_mlp(dim, (width // 2, width)))
            dim = 3 + width
        self.whole = point_mlp(dim, (widths[-1],))
        self.projection = projection(widths[-1], output_dim)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """(F, P, point_dim) → (F, output_dim)."""
        described = points  # (F, P, 3 + …)
        for level, count, near in zip(self.levels, self.counts, self.neighbours, strict=True):
            described = at_least(described, near)
            middle, groups = group(described, choose_centers(described, count, self.centers), near)
            described = torch.cat([middle, level(groups).amax(dim=2)], dim=2)
        return self.projection(self.whole(described).amax(dim=1))


def _check(
    counts: Sequence[int], neighbours: Sequence[int], widths: Sequence[int], centers: str
) -> None:
    levels = {"counts": counts, "neighbours": neighbours, "widths": widths}
    if not counts or not len(counts) == len(neighbours) == len(widths) - 1:
        raise ConfigError(
            "counts and neighbours must have one value a level, widths one more for the whole",
            received={name: list(values) for name, values in levels.items()},
        )
    for count, near in zip(counts, neighbours, strict=True):
        check_groups(centers, count, near)
    if any(after > before for before, after in zip(counts, counts[1:], strict=False)):
        raise ConfigError("counts must fall from level to level", received=list(counts))
    if any(width < 2 for width in widths):
        raise ConfigError("widths must be at least 2", received=list(widths))
