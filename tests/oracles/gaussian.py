"""Gaussian data N(mu, sigma²) per dimension: velocity, flow map and average velocity are known."""

from __future__ import annotations

import torch

from mfpolicy.networks import Network
from mfpolicy.objectives.base import per_row


class Gaussian:
    """Oracle of N(mu, sigma²); ``mu`` is a number or one value a row, (B, 1, 1)."""

    def __init__(self, mu: float | torch.Tensor, sigma: float) -> None:
        self.mu, self.sigma = mu, sigma

    def scale(self, t: torch.Tensor) -> torch.Tensor:
        return ((1 - t) ** 2 * self.sigma**2 + t**2).sqrt()

    def velocity(self, z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Instantaneous velocity v(z, t)."""
        t = per_row(t, z)
        scale = self.scale(t)
        slope = (t - (1 - t) * self.sigma**2) / scale
        return -self.mu + slope / scale * (z - (1 - t) * self.mu)

    def flow(self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Flow map from time t to time r."""
        r, t = per_row(r, z), per_row(t, z)
        return (1 - r) * self.mu + self.scale(r) / self.scale(t) * (z - (1 - t) * self.mu)

    def __call__(self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Average velocity u(z, r, t); the velocity where r = t."""
        span = per_row(t - r, z)
        safe = torch.where(span == 0, torch.ones_like(span), span)
        average = (z - self.flow(z, r, t)) / safe
        return torch.where(span == 0, self.velocity(z, t), average)

    def sample(self, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
        return self.mu + self.sigma * torch.randn(shape, generator=generator, dtype=torch.float64)


class GaussianNetwork(Network):
    """The oracle as a network: the condition (B, 1) is the mean of the data."""

    def __init__(self, sigma: float) -> None:
        super().__init__(action_dim=1, horizon=1, condition_dim=1)
        self.sigma = sigma

    def features(
        self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, prepared: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        return Gaussian(per_row(prepared[:, 0], z), self.sigma)(z, r, t), [z.flatten(1)]
