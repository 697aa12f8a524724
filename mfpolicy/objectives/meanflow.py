"""MeanFlow: learn the average velocity, jump from noise to data in one step.

Between data x and noise e run straight lines z_t = (1 − t) x + t e with velocity v = e − x. Their
average over everything that passes through z is the flow's instantaneous velocity v(z, t). One
step from t to r needs its *average* along the flow,

    (t − r) u(z_t, r, t) = ∫_r^t v(z_s, s) ds.                                                 (1)

Differentiating (1) with respect to t, r fixed, along the flow (dz_t/dt = v), gives

    u(z, r, t) = v(z, t) − (t − r) du/dt,      du/dt = ∂_z u · v + ∂_t u,                      (2)

an identity that holds no integral: regress the network onto its own right-hand side. v(z, t) is
replaced by the sampled e − x, the right-hand side is held fixed, and du/dt is one directional
derivative, computed forward along the tangent (dz, dr, dt) = (v, 0, 1). On rows with r = t the
target is v itself, plain flow matching. Then x̂ = e − u(e, 0, 1) samples in one evaluation.

Source: Geng et al. 2025, "Mean Flows for One-step Generative Modeling", Eqs. 4, 6, 8–11, 22.
The policy form, its guidance and its dispersive term: Sheng et al. 2025, MP1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mfpolicy.objectives.base import OBJECTIVES, Diagnostics, Objective, per_row
from mfpolicy.objectives.dispersive import Dispersive
from mfpolicy.objectives.guidance import Guidance
from mfpolicy.objectives.time_sampling import TimeSampling
from mfpolicy.objectives.velocity import ConditionalVelocity, Velocity
from mfpolicy.objectives.weighting import Weighting
from mfpolicy.options import parse_options


@OBJECTIVES.register("meanflow")
class MeanFlow(Objective):
    """MeanFlow with adaptive weights, guidance and a dispersive term.

    Args:
        time: options of :class:`TimeSampling`.
        weighting: options of :class:`Weighting`.
        guidance: options of :class:`Guidance`.
        dispersive: options of :class:`Dispersive`; it applies to networks, not to closed forms.

    Example:
        >>> objective = MeanFlow(weighting={"power": 0.0})
        >>> loss, diagnostics = objective.loss(lambda z, r, t: 0 * z, torch.ones(8, 4, 2))
    """

    def __init__(
        self,
        *,
        time: Mapping[str, Any] | None = None,
        weighting: Mapping[str, Any] | None = None,
        guidance: Mapping[str, Any] | None = None,
        dispersive: Mapping[str, Any] | None = None,
    ) -> None:
        self.time = parse_options(TimeSampling, time)
        self.weighting = parse_options(Weighting, weighting)
        self.guidance = parse_options(Guidance, guidance)
        self.dispersive = parse_options(Dispersive, dispersive)
        self.needs_null = self.guidance.needs_null

    def loss(
        self, velocity: Velocity, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, Diagnostics]:
        """Returns the loss on normalised action chunks (B, Th, A), and what to log of it."""
        x = actions
        e = torch.randn(x.shape, device=x.device, dtype=x.dtype, generator=generator)
        r, t = self.time.sample(len(x), x, generator)
        z = (1 - per_row(t, x)) * x + per_row(t, x) * e
        velocity, v = self.guidance.apply(velocity, z, r, t, e - x, generator)

        target = self.target(velocity, z, r, t, v)
        u, features = _evaluate(velocity, z, r, t)
        rows = self.weighting.loss(u - target)
        loss = rows.mean()
        diagnostics = _diagnostics((u - target).detach(), r, t)
        if self.dispersive.active and isinstance(velocity, ConditionalVelocity):
            if self.dispersive.source == "encoder" and velocity.condition is not None:
                features = [velocity.condition]
            spread = self.dispersive.loss(features, velocity.gap)
            loss = loss + self.dispersive.weight * spread
            diagnostics["dispersive"] = spread.detach()
        return loss, diagnostics

    @torch.no_grad()
    def target(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
    ) -> torch.Tensor:
        """Returns v − (t − r) du/dt (B, Th, A), Eq. 2, free of any graph.

        Args:
            velocity: u; a network is differentiated on the rows with r < t alone.
            z: (B, Th, A).
            r: (B,).
            t: (B,).
            v: (B, Th, A), the (guided) conditional velocity.
        """
        if not isinstance(velocity, ConditionalVelocity):
            return v - per_row(t - r, z) * _total_derivative(velocity, z, r, t, v)
        apart = (r < t).nonzero()[:, 0]
        target = v.clone()
        if len(apart):
            z, r, t, v = z[apart], r[apart], t[apart], v[apart]
            dudt = _total_derivative(velocity.rows(apart), z, r, t, v)
            target[apart] = v - per_row(t - r, z) * dudt
        return target


def _total_derivative(
    velocity: Velocity, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, v: torch.Tensor
) -> torch.Tensor:
    """du/dt along the flow, r fixed: one forward-mode pass."""
    tangents = (v, torch.zeros_like(r), torch.ones_like(t))
    return torch.func.jvp(velocity, (z, r, t), tangents)[1]


def _evaluate(
    velocity: Velocity, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    if isinstance(velocity, ConditionalVelocity):
        return velocity.features(z, r, t)
    return velocity(z, r, t), []


def _diagnostics(residual: torch.Tensor, r: torch.Tensor, t: torch.Tensor) -> Diagnostics:
    """Mean squared residual overall and by region; adaptive weights hide it in the loss."""
    squares = residual.square().flatten(1).mean(dim=1)
    regions = {
        "equal": r == t,
        "apart": (r < t) & ~((r == 0) & (t == 1)),
        "end": (r == 0) & (t == 1),
    }
    diagnostics = {"mse": squares.mean()}
    for name, rows in regions.items():
        if rows.any():
            diagnostics[f"mse_{name}"] = squares[rows].mean()
    return diagnostics
