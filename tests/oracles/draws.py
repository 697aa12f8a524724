"""Points on the lines between data and noise, and the test that a residual has no mean."""

from __future__ import annotations

import torch

from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.teacher import Taught
from oracles.gaussian import Gaussian

MU, SIGMA = 0.3, 0.4


def draw(rows: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """(z, r, t, v) of N(MU, SIGMA²) data, (rows, 1, 1), float64."""
    generator = torch.Generator().manual_seed(seed)
    x = Gaussian(MU, SIGMA).sample((rows, 1, 1), generator)
    e = torch.randn(x.shape, dtype=x.dtype, generator=generator)
    t = 0.05 + 0.95 * torch.rand(rows, dtype=x.dtype, generator=generator)
    r = t * torch.rand(rows, dtype=x.dtype, generator=generator)
    z = (1 - per_row(t, x)) * x + per_row(t, x) * e
    return z, r, t, e - x


def assert_no_mean(residual: torch.Tensor, *, given: torch.Tensor) -> None:
    """E[residual | given] = 0, tested against 1, z and z² within four standard errors."""
    for probe in (torch.ones_like(given), given, given**2):
        product = residual * probe
        error = product.std() / len(product) ** 0.5
        assert product.mean().abs() < 4 * error


def curved(weight: torch.Tensor):
    """A velocity with parameters (4,) that is no oracle and bends in every argument."""

    def velocity(z: torch.Tensor, r: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        r, t = per_row(r, z), per_row(t, z)
        bend = torch.tanh(weight[0] * z + weight[1] * t + weight[2] * r)
        return bend + weight[3] * z * t

    return velocity


def weights() -> torch.Tensor:
    return torch.tensor([0.8, -0.5, 0.4, 0.3], dtype=torch.float64, requires_grad=True)


def taught(velocity) -> Taught:
    """``velocity`` with the exact teacher of :func:`draw`'s data beside it; most never ask it."""
    return Taught(velocity, Gaussian(MU, SIGMA))
