"""Data that are one of finitely many points: velocity in closed form, flow map by integration."""

from __future__ import annotations

import torch

from mfpolicy.objectives.base import per_row


class FiniteSet:
    """Oracle of points x_i with probabilities p_i, ``points`` (N, Th, A).

    The flow map is integrated by Runge–Kutta 4 along log t, never below t = 1e-3.
    """

    def __init__(
        self, points: torch.Tensor, probabilities: torch.Tensor | None = None, *, steps: int = 64
    ) -> None:
        self.points = points
        if probabilities is None:
            probabilities = torch.ones(len(points), dtype=points.dtype)
        self.log_probabilities = (probabilities / probabilities.sum()).log()
        self.steps = steps

    def denoised(self, z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """E[x | z_t = z], (B, Th, A)."""
        t = per_row(t, z)
        offset = z[:, None] - (1 - t[:, None]) * self.points[None]  # (B, N, Th, A)
        squares = offset.square().flatten(2).sum(dim=2)
        weight = (self.log_probabilities - squares / (2 * t.flatten(1) ** 2)).softmax(dim=1)
        return torch.einsum("bn,nha->bha", weight, self.points)

    def velocity(self, z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Instantaneous velocity v(z, t)."""
        return (z - self.denoised(z, t)) / per_row(t, z)

    def flow(self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Flow map from time t to time r ≥ 1e-3, along a grid even in log t."""
        ratio = (r / t) ** (1 / self.steps)
        for _ in range(self.steps):
            after = t * ratio
            h, middle = per_row(after - t, z), (t + after) / 2
            k1 = self.velocity(z, t)
            k2 = self.velocity(z + h / 2 * k1, middle)
            k3 = self.velocity(z + h / 2 * k2, middle)
            k4 = self.velocity(z + h * k3, after)
            z, t = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), after
        return z

    def __call__(self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Average velocity u(z, r, t); the velocity where r = t."""
        start = r.clamp(min=1e-3)
        span = per_row(t - start, z)
        safe = torch.where(span == 0, torch.ones_like(span), span)
        average = (z - self.flow(z, start, t)) / safe
        return torch.where(span == 0, self.velocity(z, t), average)

    def sample(self, rows: int, generator: torch.Generator) -> torch.Tensor:
        index = torch.multinomial(
            self.log_probabilities.exp(), rows, replacement=True, generator=generator
        )
        return self.points[index]
