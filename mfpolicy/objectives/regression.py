"""Regression: predict the chunk outright, the control that every generative head must beat.

    L = E ‖net(0, t = 1 | c) − x‖²    (or the absolute difference),

whose minimiser is E[x | c] (or the conditional median): one evaluation and no noise at all. Fed
with random noise in place of zeros, the same regression still converges to E[x | c], because the
noise tells nothing about x: what a generative objective adds is then its target alone.

Source: the regression control of "Much Ado About Noising" (Pan et al. 2025).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.base import OBJECTIVES, Diagnostics, Objective, at_time
from mfpolicy.objectives.dispersive import Dispersive, evaluate
from mfpolicy.objectives.noise import Noise
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.objectives.weighting import Weighting
from mfpolicy.options import check_choice, parse_options


@OBJECTIVES.register("regression")
class Regression(Objective):
    """Mean or absolute error of one prediction.

    Args:
        norm: ``l2`` (fits the mean) or ``l1`` (fits the median).
        input_noise: ``zero``, deterministic in training and deployment, or ``random``: the network
            is fed the noise that a generative objective would start from.
        weighting: options of :class:`Weighting`, of ``l2``; by default every row weighs the same.
        dispersive: options of :class:`Dispersive`; it applies to networks, not to closed forms.
        noise: options of :class:`Noise`, of ``input_noise=random``.

    Raises:
        ConfigError: a weighting power with ``l1``, which has none, or a noise without any.

    Example:
        >>> half = lambda z, r, t: 0 * z + 0.5
        >>> Regression().sample(half, torch.randn(1, 4, 2))[0, 0]
        tensor([0.5000, 0.5000])
    """

    predicts = "sample"
    step_choices = range(1, 2)

    def __init__(
        self,
        *,
        norm: str = "l2",
        input_noise: str = "zero",
        weighting: Mapping[str, Any] | None = None,
        dispersive: Mapping[str, Any] | None = None,
        noise: Mapping[str, Any] | None = None,
    ) -> None:
        check_choice("norm", norm, ("l2", "l1"))
        check_choice("input_noise", input_noise, ("zero", "random"))
        self.norm = norm
        self.input_noise = input_noise
        self.stochastic = input_noise == "random"
        self.weighting = parse_options(Weighting, weighting, {"power": 0.0})
        if norm == "l1" and self.weighting.power:
            raise ConfigError(
                "weighting.power must be 0 with norm=l1",
                received=self.weighting.power,
                remedy="use norm=l2, which weighting.power=0.5 brings close to a median",
            )

        self.dispersive = parse_options(Dispersive, dispersive)
        self.noise = parse_options(Noise, noise)
        if input_noise == "zero" and self.noise.kind != "gaussian":
            raise ConfigError(
                "noise.kind must be gaussian with input_noise=zero, which draws none",
                received=self.noise.kind,
                remedy="use input_noise=random",
            )

    def loss(
        self, velocity: Velocity, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, Diagnostics]:
        """Returns the loss on normalised action chunks (B, Th, A), and its mean square."""
        e = torch.zeros_like(actions)
        if self.input_noise == "random":
            e = self.noise.draw_like(e, generator)
        predicted, features = evaluate(velocity, e, at_time(0, e), at_time(1, e))
        residual = predicted - actions
        rows = (
            self.weighting.loss(residual)
            if self.norm == "l2"
            else residual.abs().flatten(1).mean(1)
        )
        diagnostics = {"mse": residual.detach().square().mean()}
        return self.dispersive.add(rows.mean(), diagnostics, velocity, features), diagnostics

    def sample(
        self,
        velocity: Velocity,
        noise: torch.Tensor,
        steps: int | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Returns the prediction (B, Th, A); only ``input_noise=random`` looks at the noise."""
        self.check_steps(steps)
        z = noise if self.input_noise == "random" else torch.zeros_like(noise)
        return self.noise.contain(velocity(z, at_time(0, z), at_time(1, z)))
