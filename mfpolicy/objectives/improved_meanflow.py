"""Improved MeanFlow: the derivative along the network's own velocity.

MeanFlow's identity u = v − (t − r) du/dt holds with the flow's velocity v(z, t) in both places.
MeanFlow puts the sampled e − x into both. Improved MeanFlow takes the derivative along the
prediction v_θ = u(z, t, t) and keeps e − x as what is regressed onto, so that the compound

    V = u + (t − r) sg(∂_z u · v_θ + ∂_t u)                                                    (1)

is a function of z_t alone and ‖V − (e − x)‖² a regression of the velocity, as flow matching is.
Its loss is ‖u − u_tgt‖² with u_tgt = (e − x) − (t − r) sg(∂_z u · v_θ + ∂_t u), the form used here:
value and gradient are those of (1). The noise of the target is flow matching's in full, where
MeanFlow's shrinks with the flow; in return an error of ∂_z u is not multiplied by it.

With a velocity head the network gives v(z, r, t) beside u from one pass; the head is trained by
‖v − (e − x)‖², with the same weight, on every row, and v at r = t takes the place of v_θ. Guidance
may be an input of the network, chosen when the policy acts: see :mod:`.scale_input`.

Source: Geng et al. 2025, "Improved Mean Flows: On the Challenges of Fastforward Generative Models",
and its released code for p = 1, c = 0.01 on sums, half of the rows with r = t, and the head.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.average_velocity import (
    AverageVelocityObjective,
    Draw,
    where_apart,
    where_rows,
)
from mfpolicy.objectives.base import OBJECTIVES, Diagnostics, per_row
from mfpolicy.objectives.derivative import forward_derivative
from mfpolicy.objectives.guidance import dropped_rows, require_condition
from mfpolicy.objectives.scale_input import ScaleInput, active_scale, everywhere
from mfpolicy.objectives.time_sampling import ENDS
from mfpolicy.objectives.velocity import ConditionalVelocity, Velocity
from mfpolicy.options import parse_options


@OBJECTIVES.register("improved_meanflow")
class ImprovedMeanFlow(AverageVelocityObjective):
    """MeanFlow with the derivative taken along the predicted velocity.

    Args:
        velocity_head: the network has a second output, which predicts the velocity; it costs
            nothing at deployment.
        scale_input: options of :class:`ScaleInput`, guidance that is chosen at deployment.
        time: options of :class:`TimeSampling`.
        weighting: options of :class:`Weighting`.
        guidance: options of :class:`Guidance`, which is chosen before training.
        dispersive: options of :class:`Dispersive`; it applies to networks, not to closed forms.
        noise, coupling, path: options of :class:`Noise`, :class:`Coupling`, :class:`Interpolant`.

    Raises:
        ConfigError: both kinds of guidance are asked for.

    Example:
        >>> objective = ImprovedMeanFlow(weighting={"power": 1.0, "reduction": "sum"})
        >>> loss, diagnostics = objective.loss(lambda z, r, t: 0 * z, torch.ones(8, 4, 2))
    """

    defaults = {"time": ENDS, "weighting": {"power": 1.0, "constant": 1e-2, "reduction": "sum"}}

    def __init__(
        self,
        *,
        velocity_head: bool = False,
        scale_input: Mapping[str, Any] | None = None,
        time: Mapping[str, Any] | None = None,
        weighting: Mapping[str, Any] | None = None,
        guidance: Mapping[str, Any] | None = None,
        dispersive: Mapping[str, Any] | None = None,
        noise: Mapping[str, Any] | None = None,
        coupling: Mapping[str, Any] | None = None,
        path: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            time=time,
            weighting=weighting,
            guidance=guidance,
            dispersive=dispersive,
            noise=noise,
            coupling=coupling,
            path=path,
        )
        self.velocity_head = velocity_head
        self.scale_input = parse_options(ScaleInput, scale_input)
        options = {"velocity_head": velocity_head, "scale_input": self.scale_input.active}
        self.network_options = {name: True for name, asked in options.items() if asked}
        if self.scale_input.active:
            if self.guidance.kind != "none":
                raise ConfigError(
                    "guidance is an input of the network or built into it, not both",
                    received=self.guidance.kind,
                    remedy="use guidance.kind=none with scale_input.active=true",
                )
            self.needs_null, self.learns_score = True, False

    def loss(
        self, velocity: Velocity, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, Diagnostics]:
        """Returns the loss on normalised action chunks (B, Th, A), and what to log of it."""
        at = self.draw(velocity, actions, generator)
        if not self.network_options:
            target = self.target(at.velocity, at.z, at.r, at.t, at.v, generator)
            return self.regress(at, target)
        conditional = require_condition(at.velocity, next(iter(self.network_options)))
        if self.scale_input.active:
            at, predicted = self._guide(at, conditional, generator)
            rows = (at.z, at.r, at.t, at.v, predicted)
            with torch.no_grad():
                target = where_rows(at.r < at.t, _along, at.velocity, rows, otherwise=at.v)
        else:
            target = self.target(at.velocity, at.z, at.r, at.t, at.v, generator)
        if not self.velocity_head:
            return self.regress(at, target)
        seen = require_condition(at.velocity, "velocity_head")
        u, v, features = seen.with_velocity(at.z, at.r, at.t)
        loss, diagnostics = self.regress(at, target, evaluated=(u, features))
        losses = self.weighting.loss(v - at.v)
        loss = loss + (losses if at.weight is None else at.weight * losses).mean()
        diagnostics["mse_velocity_head"] = (v - at.v).detach().square().mean()
        return loss, diagnostics

    def at_scale(self, velocity: Velocity, scale: float | None = None) -> Velocity:
        """Returns the velocity at a guidance scale; None takes the configured one.

        Raises:
            ConfigError: the network takes no scale, or was not trained at this one.
        """
        if not self.scale_input.active:
            return super().at_scale(velocity, scale)
        conditional = require_condition(velocity, "scale_input")
        return conditional.guided(self.scale_input.deployed(scale, conditional.prepared))

    @torch.no_grad()
    def target(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Returns v − (t − r) du/dt along the prediction, and v where r = t (B, Th, A)."""

        def rule(
            velocity: Velocity, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, v: torch.Tensor
        ) -> torch.Tensor:
            return _along(velocity, z, r, t, v, self._predict(velocity, z, t))

        return where_apart(rule, velocity, z, r, t, v)

    def _predict(self, velocity: Velocity, z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """v_θ (B, Th, A): the velocity head's at r = t, or u(z, t, t)."""
        if self.velocity_head:
            return require_condition(velocity, "velocity_head").with_velocity(z, t, t)[1]
        return velocity(z, t, t)

    def _guide(
        self, at: Draw, velocity: ConditionalVelocity, generator: torch.Generator | None
    ) -> tuple[Draw, torch.Tensor]:
        """The draw at guidance of all scales, and the prediction at each row's (B, Th, A)."""
        guidance = self.scale_input.draw(at.r, at.t, generator)
        dropped = dropped_rows(self.scale_input.drop, at.r, at.t, generator)
        w = active_scale(guidance, at.t, dropped)
        seen = velocity.dropped(dropped)
        with torch.no_grad():
            # what is asked at r = t is asked as it is trained there: with the interval [0, 1]
            predicted = self._predict(seen.guided(everywhere(w)), at.z, at.t)
            unguided = velocity.unconditional().guided(everywhere(torch.ones_like(w)))
            away = predicted - self._predict(unguided, at.z, at.t)
        v = at.v + per_row(1 - 1 / w, at.z) * away
        guidance = torch.where(dropped[:, None], everywhere(torch.ones_like(w)), guidance)
        return dataclasses.replace(at, velocity=seen.guided(guidance), v=v), predicted


def _along(
    velocity: Velocity,
    z: torch.Tensor,
    r: torch.Tensor,
    t: torch.Tensor,
    v: torch.Tensor,
    predicted: torch.Tensor,
) -> torch.Tensor:
    return v - per_row(t - r, z) * forward_derivative(velocity, z, r, t, predicted)
