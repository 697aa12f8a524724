"""Adaptive weighting of squared residuals."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mfpolicy.options import check_choice, check_range


@dataclass(frozen=True)
class Weighting:
    """Weight 1 / sg(d + c)^p on each row's squared residual d (Geng et al. 2025, MeanFlow, Eq. 22).

    The power is not neutral: p = 0 fits the mean, p = ½ is close to a geometric median, p = 1
    seeks a mode.

    Attributes:
        power: p.
        constant: c.
        reduction: d is the ``mean`` or the ``sum`` of squares over the chunk; c means something
            else in each.
    """

    power: float = 0.5
    constant: float = 1e-3
    reduction: str = "mean"

    def __post_init__(self) -> None:
        check_range("weighting.power", self.power, 0, 2)
        check_range("weighting.constant", self.constant, 0, float("inf"))
        check_choice("weighting.reduction", self.reduction, ("mean", "sum"))

    def loss(self, residual: torch.Tensor) -> torch.Tensor:
        """(B, Th, A) → weighted loss of each row (B,)."""
        squares = residual.square().flatten(1)
        distance = squares.mean(dim=1) if self.reduction == "mean" else squares.sum(dim=1)
        if self.power == 0:
            return distance
        return distance / (distance.detach() + self.constant) ** self.power
