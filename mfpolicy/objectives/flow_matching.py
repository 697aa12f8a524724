"""Flow matching: learn the velocity at every point, integrate it from noise to data.

    L = E ‖v(z_t, t) − (e − x)‖²,    z_t = (1 − t) x + t e,

has the minimiser v(z, t) = E[e − x | z_t = z], whose flow dz/dt = v carries noise (t = 1) to data
(t = 0). It is MeanFlow with r = t on every row. One Euler step gives E[x | c], so few steps regress
and many sample.

Source: Lipman et al. 2023, "Flow Matching for Generative Modeling"; Liu et al. 2023, "Flow Straight
and Fast".
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch

from mfpolicy.objectives.average_velocity import LineRegression
from mfpolicy.objectives.base import OBJECTIVES, at_time
from mfpolicy.objectives.time_sampling import single_times
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.objectives.weighting import Weighting
from mfpolicy.options import check_choice, parse_options


@OBJECTIVES.register("flow_matching")
class FlowMatching(LineRegression):
    """Flow matching with an Euler or a Heun sampler; steps count network evaluations.

    Args:
        time: options of :class:`TimeSampling`; uniform by default, p_equal is 1.
        solver: ``euler``, of first order, or ``heun``, of second order at two evaluations a step.
        inference_steps: network evaluations where none are asked for.
        weighting: options of :class:`Weighting`; by default every row weighs the same.
        guidance: options of :class:`Guidance`.
        dispersive: options of :class:`Dispersive`.
        noise, coupling, path: options of :class:`Noise`, :class:`Coupling`, :class:`Interpolant`.

    Raises:
        ConfigError: time asks for intervals, or the solver cannot do ``inference_steps``.

    Example:
        >>> toward = lambda z, r, t: (z - 0.5) / t[:, None, None]     # data that is always 0.5
        >>> FlowMatching().sample(toward, torch.zeros(1, 4, 2))[0, 0]
        tensor([0.5000, 0.5000])
    """

    predicts = "velocity"

    def __init__(
        self,
        *,
        time: Mapping[str, Any] | None = None,
        solver: str = "euler",
        inference_steps: int = 10,
        weighting: Mapping[str, Any] | None = None,
        guidance: Mapping[str, Any] | None = None,
        dispersive: Mapping[str, Any] | None = None,
        noise: Mapping[str, Any] | None = None,
        coupling: Mapping[str, Any] | None = None,
        path: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            guidance=guidance, dispersive=dispersive, noise=noise, coupling=coupling, path=path
        )
        self.time = single_times(time)
        self.weighting = parse_options(Weighting, weighting, {"power": 0.0})
        check_choice("solver", solver, ("euler", "heun"))
        self.solver = solver
        if solver == "heun":
            self.step_choices = range(2, sys.maxsize, 2)
        self.default_steps = self.check_steps(inference_steps)

    def target(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Returns v (B, Th, A)."""
        return v

    def sample(
        self,
        velocity: Velocity,
        noise: torch.Tensor,
        steps: int | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Integrates dz/dt = v from noise (B, Th, A) at t = 1 to data at t = 0."""
        evaluations = self.check_steps(steps)
        count = evaluations // 2 if self.solver == "heun" else evaluations
        z = noise
        for step in range(count):
            t, s = 1 - step / count, 1 - (step + 1) / count
            v = velocity(z, at_time(t, z), at_time(t, z))
            if self.solver == "heun":
                ahead = velocity(z - (t - s) * v, at_time(s, z), at_time(s, z))
                v = (v + ahead) / 2
            z = self.noise.contain(z - (t - s) * v)
        return z
