"""Flow-map trajectory tilting: samples of p(x) e^R(x) for a reward R, without training.

A flow map says at every time where a point will end, X₀(z, t) = z − t u(z, 0, t), so a reward of
the end steers the whole way. With φ_t(z) = (1 − t) R(X₀(z, t)), particles go from t = 1 down by

    dz = −[v − ε (s + ∇φ_t)] dt + √(2 ε) dW,    dA = R(X₀(z, t)) dt,                           (1)

where v = u(z, t, t) and s = −(z + (1 − t) v) / t is the score of the marginal at t. The term in ε
is a Langevin step that leaves p_t e^φ_t as it is, and R(X₀) is constant along v; so particles
weighted with e^A are a sample of p_t e^φ_t at every t, and of p e^R at t = 0, whatever ε ≥ 0. With
ε = 0 they are plain samples with the importance weights e^R; ε > 0 leads them to where the reward
is, and the weights stay more even. ε = c t, because s is singular at t = 0.

A step here is a Langevin step at t, then the flow map's own jump from t to t − h, which no length
makes inexact; finite h biases the Langevin part alone. Where the weights of a row's particles
grow uneven, they are drawn anew in proportion (systematic resampling). Without the weights,
guidance by ∇φ would be biased.

Source: Sabour et al. 2025, "Test-time scaling of diffusions with flow maps".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.base import Objective, at_time
from mfpolicy.objectives.noise import Noise
from mfpolicy.objectives.reward import Reward, rewards_of
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.options import check_range, check_whole


@dataclass(frozen=True)
class Tilting:
    """How a reward tilts the samples of a flow map.

    Attributes:
        particles: K, particles a row; they share one batched evaluation.
        steps: time steps, of three network evaluations each but the first, which is one.
        noise: c of ε = c t; with 0 there is nothing to step for: one jump and one weight.
        resample: particles are drawn anew where their effective number, (Σ w)² / Σ w², is below
            this share of K; 0 never does.

    Example:
        >>> from mfpolicy.objectives import MeanFlow
        >>> toward = lambda z, r, t: (z - 0.5) / t[:, None, None]     # data that is always 0.5
        >>> high = lambda chunks: chunks.sum((-2, -1))
        >>> Tilting(particles=4).sample(toward, torch.zeros(1, 4, 1, 2), high)[0, 0]
        tensor([0.5000, 0.5000])
    """

    particles: int = 16
    steps: int = 16
    noise: float = 1.0
    resample: float = 0.5

    def __post_init__(self) -> None:
        check_whole("tilting.particles", self.particles, 1, 100_000)
        check_whole("tilting.steps", self.steps, 1, 100_000)
        check_range("tilting.noise", self.noise, 0, 1e3)
        check_range("tilting.resample", self.resample, 0, 1)

    def check(self, objective: Objective) -> None:
        """Refuses an objective whose network does not know what (1) asks for.

        Raises:
            ConfigError: the network learns no flow map, or ``noise`` needs a score it lacks.
        """
        if not objective.learns_flow_map:
            raise ConfigError(
                "tilting needs an objective that learns u(z, r, t) on every interval [r, t]",
                received=type(objective).__name__,
                remedy="train with objective=meanflow, or use best_of instead",
            )
        if self.noise and not objective.learns_score:
            raise ConfigError(
                "tilting.noise must be 0 where u(z, t, t) is not the velocity of data and "
                "Gaussian noise on straight lines, whose score is known",
                received=self.noise,
                remedy="use Tilting(noise=0.0)",
            )

    @torch.no_grad()
    def run(
        self,
        velocity: Velocity,
        noise: torch.Tensor,
        reward: Reward,
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns particles at t = 0, (B, K, Th, A), and the logarithms of their weights (B, K).

        Args:
            velocity: u of B · K rows, a row's particles one after another.
            noise: (B, K, Th, A), standard normal.
            reward: of chunks; differentiable unless ``noise`` is 0.
            generator: draws the noise of (1) and the resampling.

        Raises:
            ConfigError: the reward is not finite, of another shape or not differentiable.
        """
        log_weights = noise.new_zeros(noise.shape[:2])
        steps = self.steps if self.noise else 1
        z = _jump(velocity, noise, 1.0, 1 - 1 / steps)
        for left in range(steps - 1, 0, -1):
            t = left / steps
            value, slope = _look_ahead(velocity, z, t, reward)
            log_weights = log_weights + value / steps
            z, slope, log_weights = self._resample(z, slope, log_weights, generator)
            z = self._langevin(velocity, z, t, slope, 1 / steps, generator)
            z = _jump(velocity, z, t, (left - 1) / steps)
        return z, log_weights + rewards_of(reward, z) / steps

    @torch.no_grad()
    def sample(
        self,
        velocity: Velocity,
        noise: torch.Tensor,
        reward: Reward,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Returns one particle a row, drawn by its weight, (B, Th, A); arguments as in run."""
        chunks, log_weights = self.run(velocity, noise, reward, generator)
        index = torch.multinomial(log_weights.softmax(dim=1), 1, generator=generator)[:, 0]
        return chunks[torch.arange(len(chunks), device=chunks.device), index]

    def _langevin(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        t: float,
        slope: torch.Tensor,
        h: float,
        generator: torch.Generator | None,
    ) -> torch.Tensor:
        """One step of length h at t: z + h ε (s + ∇φ) + √(2 ε h) ξ."""
        v = _at(velocity, z, t, t)
        # ε s = −c (z + (1 − t) v) has no singularity
        drift = t * slope - (z + (1 - t) * v)
        diffused = (2 * self.noise * t * h) ** 0.5 * Noise().draw_like(z, generator)
        return z + h * self.noise * drift + diffused

    def _resample(
        self,
        z: torch.Tensor,
        slope: torch.Tensor,
        log_weights: torch.Tensor,
        generator: torch.Generator | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Draws the particles of uneven rows anew; each then has the mean of their weights."""
        count = z.shape[1]
        weights = log_weights.softmax(dim=1)
        uneven = 1 / weights.square().sum(dim=1) < self.resample * count  # (B,)
        start = torch.rand(len(z), 1, device=z.device, dtype=z.dtype, generator=generator)
        places = torch.arange(count, device=z.device)
        drawn = torch.searchsorted(weights.cumsum(dim=1), (start + places) / count)
        index = torch.where(uneven[:, None], drawn.clamp(max=count - 1), places)
        rows = torch.arange(len(z), device=z.device)[:, None]
        mean = log_weights.logsumexp(dim=1, keepdim=True) - math.log(count)
        kept = torch.where(uneven[:, None], mean, log_weights)
        return z[rows, index], slope[rows, index], kept


def _at(velocity: Velocity, z: torch.Tensor, r: float, t: float) -> torch.Tensor:
    """The velocity of particles, (B, K, Th, A)."""
    flat = z.flatten(0, 1)
    return velocity(flat, at_time(r, flat), at_time(t, flat)).view_as(z)


def _jump(velocity: Velocity, z: torch.Tensor, t: float, r: float) -> torch.Tensor:
    return z - (t - r) * _at(velocity, z, r, t)


def _look_ahead(
    velocity: Velocity, z: torch.Tensor, t: float, reward: Reward
) -> tuple[torch.Tensor, torch.Tensor]:
    """The reward of the end (B, K), and ∇φ (B, K, Th, A)."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        value = rewards_of(reward, _jump(velocity, z, t, 0.0))
        if not value.requires_grad:
            raise ConfigError(
                "the reward must be differentiable in the chunk where tilting.noise is above 0",
                remedy="use Tilting(noise=0.0), or write the reward in torch operations",
            )
        (slope,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), (1 - t) * slope
