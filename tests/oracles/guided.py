"""Gaussian data under guidance that holds on an interval of time."""

from __future__ import annotations

import torch

from mfpolicy.objectives.base import per_row
from oracles.gaussian import Gaussian


class Guided(Gaussian):
    """The flow of N(mu, σ²) whose mean is another on an interval of time.

    The velocity is affine in mu, so classifier-free guidance with scale w moves the mean to
    w μ + (1 − w) μ_null, and leaves σ. With g(t) = (1 − t) / s(t), z / s(t) moves along the flow
    by ∫ mu dg, whatever mu does in time.
    """

    def __init__(
        self,
        mu: torch.Tensor,
        guided: torch.Tensor,
        t_min: float | torch.Tensor,
        t_max: float | torch.Tensor,
        *,
        sigma: float,
    ) -> None:
        super().__init__(mu, sigma)
        self.guided = guided
        self.t_min, self.t_max = (torch.as_tensor(t, dtype=guided.dtype) for t in (t_min, t_max))

    def velocity(self, z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        inside = (per_row(t, z) >= self.t_min) & (per_row(t, z) <= self.t_max)
        mean = torch.where(inside, self.guided, self.mu)
        return Gaussian(mean, self.sigma).velocity(z, t)

    def flow(self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        r, t = per_row(r, z), per_row(t, z)

        def rise(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
            return (1 - low) / self.scale(low) - (1 - high) / self.scale(high)

        middle = [edge.maximum(self.t_min).minimum(self.t_max) for edge in (r, t)]
        moved = self.mu * (rise(r, t) - rise(*middle)) + self.guided * rise(*middle)
        return self.scale(r) * (z / self.scale(t) + moved)
