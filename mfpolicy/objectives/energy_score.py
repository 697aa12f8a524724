"""Energy score: train the one-step sampler by a proper score of what it samples.

For each row m noises are drawn and mapped in one step, x̂_k = e_k − u(e_k, 0, 1), and

    L = 1/m Σ_k ‖x̂_k − x‖^β − 1/(2 m (m − 1)) Σ_{k≠l} ‖x̂_k − x̂_l‖^β,    0 < β < 2,            (1)

is an unbiased estimate of the energy score of the sampled distribution at x. The first term draws
samples to the data, the second keeps them apart, and their mean over data is least where the
distributions are equal, and nowhere else: no teacher, no derivative, no time. At β = 2 equal means
would do, and every sampler of the right mean score the same.

The norm is that of the whole chunk. Only the interval (0, 1) is learnt: one step is all it can do.

Source: Gneiting & Raftery 2007, "Strictly Proper Scoring Rules, Prediction, and Estimation", for
the score and its propriety.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.base import OBJECTIVES, Diagnostics, Objective, at_time
from mfpolicy.objectives.noise import Noise
from mfpolicy.objectives.velocity import ConditionalVelocity, Velocity
from mfpolicy.options import check_whole, parse_options


@OBJECTIVES.register("energy_score")
class EnergyScore(Objective):
    """A one-step sampler, trained by the energy score of several samples a row.

    Args:
        draws: m, samples of each row; a network takes them in one forward pass of m B rows.
        beta: β.
        noise: options of :class:`Noise`.

    Raises:
        ConfigError: fewer than two draws, or a β that is not in (0, 2).

    Example:
        >>> toward = lambda z, r, t: z - 0.5            # data that is always 0.5
        >>> EnergyScore().sample(toward, torch.randn(1, 4, 2))[0, 0]
        tensor([0.5000, 0.5000])
    """

    step_choices = range(1, 2)

    def __init__(
        self, *, draws: int = 4, beta: float = 1.0, noise: Mapping[str, Any] | None = None
    ) -> None:
        check_whole("draws", draws, 2, 1000)
        if not 0 < beta < 2:
            raise ConfigError(
                "beta must be above 0 and below 2, where the score has one minimum", received=beta
            )
        self.draws = draws
        self.beta = beta
        self.noise = parse_options(Noise, noise)

    def loss(
        self, velocity: Velocity, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, Diagnostics]:
        """Returns the loss on normalised action chunks (B, Th, A), and both of its terms."""
        shape = (self.draws, *actions.shape)
        e = self.noise.draw_like(actions.expand(shape).flatten(0, 1), generator)
        samples = self._map(velocity, e.view(shape))  # (m, B, Th, A)
        k, other = torch.triu_indices(self.draws, self.draws, 1, device=e.device)
        error = self._distance(samples - actions).mean()
        spread = self._distance(samples[k] - samples[other]).mean()
        return error - spread / 2, {
            "error": error.detach(),
            "spread": spread.detach(),
            "mse": (samples.detach().mean(dim=0) - actions).square().mean(),
        }

    def _map(self, velocity: Velocity, e: torch.Tensor) -> torch.Tensor:
        """Returns e − u(e, 0, 1) for noise (m, B, Th, A)."""
        if not isinstance(velocity, ConditionalVelocity):
            return torch.stack([z - velocity(z, at_time(0, z), at_time(1, z)) for z in e])
        z = e.flatten(0, 1)
        rows = torch.arange(e.shape[1], device=e.device).repeat(self.draws)
        return (z - velocity.rows(rows)(z, at_time(0, z), at_time(1, z))).view_as(e)

    def _distance(self, difference: torch.Tensor) -> torch.Tensor:
        """‖·‖^β of chunks (…, Th, A), (…,), with gradient 0 where they coincide."""
        squares = difference.square().flatten(-2).sum(dim=-1)
        return squares.clamp(min=torch.finfo(squares.dtype).tiny) ** (self.beta / 2)
