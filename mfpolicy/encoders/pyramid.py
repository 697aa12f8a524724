"""Multi-stage point encoder of iDP3: every stage tells each point what the whole cloud looks like.

With y_p the feature of point p, a stage is

    y_p ← ReLU(A y_p),    g = max_p y_p,    y_p ← ReLU(B y_p + C g + b),                       (1)

and the output the maximum over the points of one linear layer on the features of all stages side
by side. C g is the same for all points of a cloud and computed once, where the published form
concatenates g to every point and computes it P times.

Source: Ze et al. 2024, "Generalizable Humanoid Manipulation with 3D Diffusion Policies".
"""

from __future__ import annotations

import torch
from torch import nn

from mfpolicy.encoders.base import ENCODERS, CloudEncoder
from mfpolicy.options import check_whole


@ENCODERS.register("pyramid")
class Pyramid(CloudEncoder):
    """Stages of per-point layers that share a global maximum (iDP3), Eq. 1.

    Args:
        point_dim: values per point.
        width: channels of every stage; iDP3's is 128.
        stages: how many; iDP3 has 4.
        output_dim: size of the feature; iDP3's is 128.

    Raises:
        ConfigError: there is no stage.

    Example:
        >>> Pyramid(point_dim=3)(torch.zeros(2, 512, 3)).shape
        torch.Size([2, 64])
    """

    def __init__(
        self, *, point_dim: int, width: int = 64, stages: int = 4, output_dim: int = 64
    ) -> None:
        super().__init__(point_dim=point_dim, output_dim=output_dim)
        check_whole("stages", stages, 1, 64)
        self.enter = nn.Linear(point_dim, width)
        self.local = nn.ModuleList(nn.Linear(width, width) for _ in range(stages))
        self.point = nn.ModuleList(nn.Linear(width, width) for _ in range(stages))
        self.whole = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(stages))
        self.leave = nn.Linear(stages * width, output_dim)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """(F, P, point_dim) → (F, output_dim)."""
        y = self.enter(points).relu()  # (F, P, width)
        seen = []
        for local, point, whole in zip(self.local, self.point, self.whole, strict=True):
            y = local(y).relu()
            y = (point(y) + whole(y.amax(dim=1, keepdim=True))).relu()
            seen.append(y)
        return self.leave(torch.cat(seen, dim=2)).amax(dim=1)
