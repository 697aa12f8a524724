"""MIP, the minimal iterative policy: two supervised evaluations, no generative model.

A first evaluation regresses the chunk, a second one cleans up a slightly noisy chunk:

    a₀ = net(0, t' = 0 | c),    a₁ = net(x + (1 − t*) n, t' = t* | c),    n ~ N(0, I),
    L = E ‖a₀ − x‖² / t*² + E ‖a₁ − x‖² / (1 − t*)².

Deployed is a₁ of a₀, net(net(0, 0), t*): deterministic, two evaluations. a₀ is E[x | c]; a₁ pulls
it towards the data near by, so that modes that are farther apart than the noise 1 − t* do not
average. Its time t' runs from noise to data; the package's is t = 1 − t'.

Source: Pan et al. 2025, "Much Ado About Noising: Dispelling the Myths of Generative Robotic
Control", and its released code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mfpolicy.objectives.base import OBJECTIVES, Diagnostics, Objective, at_time
from mfpolicy.objectives.dispersive import Dispersive, evaluate
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.objectives.weighting import Weighting
from mfpolicy.options import check_range, parse_options


@OBJECTIVES.register("mip")
class Mip(Objective):
    """Regression and one correction.

    Args:
        t_star: t*, where the second evaluation stands between noise (0) and data (1).
        weighting: options of :class:`Weighting`; by default every row weighs the same.
        dispersive: options of :class:`Dispersive`; it applies to networks, not to closed forms.

    Example:
        >>> half = lambda z, r, t: 0 * z + 0.5
        >>> Mip().sample(half, torch.randn(1, 4, 2))[0, 0]
        tensor([0.5000, 0.5000])
    """

    predicts = "sample"
    stochastic = False
    default_steps = 2
    step_choices = range(2, 3)

    def __init__(
        self,
        *,
        t_star: float = 0.9,
        weighting: Mapping[str, Any] | None = None,
        dispersive: Mapping[str, Any] | None = None,
    ) -> None:
        check_range("t_star", t_star, 0.01, 0.99)
        self.t_star = t_star
        self.weighting = parse_options(Weighting, weighting, {"power": 0.0})
        self.dispersive = parse_options(Dispersive, dispersive)

    def loss(
        self, velocity: Velocity, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, Diagnostics]:
        """Returns the loss on normalised action chunks (B, Th, A), and the mean squares of both."""
        x = actions
        n = self.noise.draw_like(x, generator)
        first = self._first(velocity, x) - x
        z = x + (1 - self.t_star) * n
        second, features = evaluate(velocity, z, at_time(0, z), at_time(1 - self.t_star, z))
        second = second - x
        rows = (
            self.weighting.loss(first) / self.t_star**2
            + self.weighting.loss(second) / (1 - self.t_star) ** 2
        )
        diagnostics = {
            "mse_first": first.detach().square().mean(),
            "mse": second.detach().square().mean(),
        }
        return self.dispersive.add(rows.mean(), diagnostics, velocity, features), diagnostics

    def sample(
        self,
        velocity: Velocity,
        noise: torch.Tensor,
        steps: int | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Returns the corrected prediction (B, Th, A); of the noise only the shape counts."""
        self.check_steps(steps)
        z = self._first(velocity, noise)
        return velocity(z, at_time(0, z), at_time(1 - self.t_star, z))

    def _first(self, velocity: Velocity, like: torch.Tensor) -> torch.Tensor:
        return velocity(torch.zeros_like(like), at_time(0, like), at_time(1, like))
