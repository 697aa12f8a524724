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

Where forward mode is not to be had, du/dt is a difference: a central one, or a step back along v,

    du/dt ≈ [u(z, r, t) − u(z − (t − s) v, r, s)] / (t − s),    r ≤ s < t,                     (3)

with (s − r) in place of (t − r) in (2): then (2) and (3) together are the additivity of
displacements over [r, s] and [s, t], which holds at any step.

Source: Geng et al. 2025, "Mean Flows for One-step Generative Modeling", Eqs. 4, 6, 8–11, 22.
The policy form, its guidance and its dispersive term: Sheng et al. 2025, MP1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mfpolicy.objectives.average_velocity import AverageVelocityObjective, where_apart
from mfpolicy.objectives.base import OBJECTIVES, per_row
from mfpolicy.objectives.derivative import central_derivative, forward_derivative
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.options import check_choice, check_range


@OBJECTIVES.register("meanflow")
class MeanFlow(AverageVelocityObjective):
    """MeanFlow with adaptive weights, guidance and a dispersive term.

    Args:
        time: options of :class:`TimeSampling`.
        derivative: how du/dt is found. ``jvp``: exactly, in forward mode. ``finite_difference``:
            from u at t ± derivative_step. ``discrete``: from u at t and derivative_step before
            it, Eq. 3.
        derivative_step: in t, of the two differences.
        weighting: options of :class:`Weighting`.
        guidance: options of :class:`Guidance`.
        dispersive: options of :class:`Dispersive`; it applies to networks, not to closed forms.
        noise, coupling, path: options of :class:`Noise`, :class:`Coupling`, :class:`Interpolant`.

    Example:
        >>> objective = MeanFlow(weighting={"power": 0.0})
        >>> loss, diagnostics = objective.loss(lambda z, r, t: 0 * z, torch.ones(8, 4, 2))
    """

    def __init__(
        self,
        *,
        time: Mapping[str, Any] | None = None,
        derivative: str = "jvp",
        derivative_step: float = 5e-3,
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
        check_choice("derivative", derivative, ("jvp", "finite_difference", "discrete"))
        check_range("derivative_step", derivative_step, 1e-5, 0.5)
        self.derivative = derivative
        self.derivative_step = derivative_step

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
        """Returns v − (t − r) du/dt (B, Th, A), Eq. 2, free of any graph.

        Args:
            velocity: u; a network is differentiated on the rows with r < t alone.
            z: (B, Th, A).
            r: (B,).
            t: (B,).
            v: (B, Th, A), the (guided) conditional velocity.
            generator: not used.
        """
        return where_apart(self._apart, velocity, z, r, t, v)

    def _apart(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
    ) -> torch.Tensor:
        if self.derivative == "discrete":
            s = torch.maximum(t - self.derivative_step, r)
            dudt = velocity(z, r, t) - velocity(z - per_row(t - s, z) * v, r, s)
            return v - per_row((s - r) / (t - s), z) * dudt
        if self.derivative == "finite_difference":
            dudt = central_derivative(velocity, z, r, t, v, step=self.derivative_step)
        else:
            dudt = forward_derivative(velocity, z, r, t, v)
        return v - per_row(t - r, z) * dudt
