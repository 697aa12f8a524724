"""The cloud from its vector: what was seen must still be in it."""

from __future__ import annotations

import torch

from mfpolicy.encoders.auxiliary.base import AUXILIARIES, Auxiliary, Sizes, head
from mfpolicy.encoders.observation import Encoded
from mfpolicy.options import check_whole
from mfpolicy.types import Batch


@AUXILIARIES.register("reconstruction")
class Reconstruction(Auxiliary):
    """Chamfer distance of each frame's points to points that a head makes of the cloud's vector.

    Args:
        sizes: of what it is built on.
        weight: factor on its loss.
        points: how many the head makes.
        hidden_dim: of the head.
    """

    def __init__(
        self, *, sizes: Sizes, weight: float = 0.1, points: int = 64, hidden_dim: int = 256
    ) -> None:
        super().__init__(sizes=sizes, weight=weight)
        check_whole("points", points, 1, 65_536)
        self.head = head(sizes.cloud_dim, hidden_dim, 3 * points)

    def forward(self, encoded: Encoded, seen: Batch) -> torch.Tensor:
        """See :class:`Auxiliary`."""
        clouds = seen.point_cloud.flatten(0, 1)[encoded.first][..., :3]  # (F, P, 3)
        return chamfer(self.head(encoded.clouds).unflatten(1, (-1, 3)), clouds)


def chamfer(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Mean over frames of the squared Chamfer distance of clouds (F, N, 3) and (F, M, 3).

    The mean squared distance of the points of each to the nearest of the other, both ways
    (Fan et al. 2017).

    Example:
        >>> a = torch.tensor([[[0.0, 0, 0], [1, 0, 0]]])
        >>> chamfer(a, a[:, :1]).item()
        0.5
    """
    apart = torch.zeros((), device=left.device)
    for axis in range(3):  # by axis: a tensor of all differences would be three times as large
        apart = apart + (left[:, :, None, axis] - right[:, None, :, axis]).square()
    return apart.amin(dim=2).mean() + apart.amin(dim=1).mean()
