"""Flow-map distillation: the average velocity of a teacher's flow, learnt without noise.

A teacher's velocity v_φ(z, t) defines a flow. Its average velocity satisfies two identities,

    Eulerian:    u(z, r, t) = v_φ(z, t) − (t − r) [∂_z u · v_φ + ∂_t u],                       (1)
    Lagrangian:  u(z, r, t) = v_φ(z_r, r) + (t − r) ∂_r u(z, r, t),  z_r = z − (t − r) u;      (2)

the first moves the interval's end along the flow and holds its start, the second moves the start
and holds the end. Each, its right-hand side held fixed, is a target without conditional noise:
where the student's flow is the teacher's, residual and gradient are zero row by row. In the paper
the losses are those of the flow map f = z − (t − r) u, whose gradients are those of the squared
residual of u with the weight t − r. Rows with r = t, which it leaves without weight, are regressed
onto v_φ with weight 1 here: short intervals carry little of the loss, and a student that does not
start from its teacher's weights gets them wrong otherwise, and from there the long ones (on
Gaussian data of deviation 0.40 a small network ends at 0.30 without such rows, at 0.39 with them).

Eulerian needs a derivative along z, and a student near the teacher (it starts from its weights,
and the derivative is phased in). Lagrangian needs a derivative in r alone, but asks the teacher at
the student's own z_r, where early in training it has never been.

The adaptive weight ½ on sums of squares stands for the paper's normalised tangent; the length of
the warm-up and the times are choices made here. Autoguidance and adversarial finetuning are not
part of this objective.

Source: Sabour, Fidler & Kreis 2025, "Align Your Flow: Scaling Continuous-Time Flow Map
Distillation", the objectives AYF-EMD and AYF-LMD.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.average_velocity import where_rows
from mfpolicy.objectives.base import OBJECTIVES, Diagnostics, per_row
from mfpolicy.objectives.derivative import central_start_derivative, forward_start_derivative
from mfpolicy.objectives.meanflow import MeanFlow
from mfpolicy.objectives.teacher import TeacherOptions, teacher_velocity
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.options import check_choice, check_range, parse_options


@OBJECTIVES.register("flow_map_distillation")
class FlowMapDistillation(MeanFlow):
    """Distillation of a teacher's flow into its average velocity.

    Args:
        teacher: options of :class:`TeacherOptions`.
        form: ``eulerian``, Eq. 1, or ``lagrangian``, Eq. 2.
        warm_up: share of training over which the derivative is phased in, eulerian alone.
        time: options of :class:`TimeSampling`.
        derivative, derivative_step: as in :class:`MeanFlow`; lagrangian has no ``discrete``.
        weighting: options of :class:`Weighting`, beside the weight t − r.
        guidance: options of :class:`Guidance`, of the teacher's velocity; eulerian alone.
        dispersive: options of :class:`Dispersive`; it applies to networks, not to closed forms.
        noise: options of :class:`Noise`; the teacher's is the same.

    Raises:
        ConfigError: the form is not defined with these options.

    Example:
        >>> from mfpolicy.objectives.teacher import Taught
        >>> toward = lambda z, r, t: (z - 0.5) / t[:, None, None]     # data that is always 0.5
        >>> objective = FlowMapDistillation(form="lagrangian", time={"distribution": "uniform"})
        >>> loss, _ = objective.loss(Taught(toward, teacher=toward), torch.full((8, 4, 2), 0.5))
    """

    defaults = {
        "time": {"p_equal": 0.25, "p_end": 0.1},
        "weighting": {"power": 0.5, "constant": 1e-2, "reduction": "sum"},
    }

    def __init__(
        self,
        *,
        teacher: Mapping[str, Any] | None = None,
        form: str = "eulerian",
        warm_up: float = 0.1,
        time: Mapping[str, Any] | None = None,
        derivative: str = "jvp",
        derivative_step: float = 5e-3,
        weighting: Mapping[str, Any] | None = None,
        guidance: Mapping[str, Any] | None = None,
        dispersive: Mapping[str, Any] | None = None,
        noise: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            time=time,
            derivative=derivative,
            derivative_step=derivative_step,
            weighting=weighting,
            guidance=guidance,
            dispersive=dispersive,
            noise=noise,
        )
        self.teacher = parse_options(TeacherOptions, teacher)
        check_choice("form", form, ("eulerian", "lagrangian"))
        check_range("warm_up", warm_up, 0, 1)
        self.form, self.warm_up = form, warm_up
        self.learns_score = False  # the teacher's data and noise need not be independent
        if form == "lagrangian":
            self._check_lagrangian()
        if self.needs_null and not self.time.p_equal:
            raise ConfigError(
                f"guidance.kind={self.guidance.kind} needs time.p_equal above 0, because rows with "
                "r = t alone lose their condition",
                received=self.time.p_equal,
                remedy="set time.p_equal=0.5",
            )

    def loss(
        self, velocity: Velocity, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, Diagnostics]:
        """Returns the loss on normalised action chunks (B, Th, A), and what to log of it."""
        at = self.draw(velocity, actions, generator)
        target = self.target(at.velocity, at.z, at.r, at.t, at.v, generator)
        span = torch.where(at.r < at.t, at.t - at.r, torch.ones_like(at.t))
        return self.regress(at, target, span)

    def along(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
    ) -> torch.Tensor:
        """Returns the teacher's velocity (B, Th, A) at z, on the rows whose target asks for it."""
        if self.form == "eulerian":
            return teacher_velocity(velocity, z, t)
        return where_rows(r == t, teacher_velocity, velocity, [z, t], otherwise=v)

    def _apart(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
    ) -> torch.Tensor:
        if self.form == "lagrangian":
            return self._lagrangian(velocity, z, r, t)
        share = min(1.0, self.progress / self.warm_up) if self.warm_up else 1.0
        if share == 0:
            return v
        return v + share * (super()._apart(velocity, z, r, t, v) - v)

    def _lagrangian(
        self, velocity: Velocity, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor
    ) -> torch.Tensor:
        """Returns the right-hand side of Eq. 2, (B, Th, A)."""
        if self.derivative == "jvp":
            u, dudr = forward_start_derivative(velocity, z, r, t)
        else:
            u, dudr = central_start_derivative(velocity, z, r, t, step=self.derivative_step)
        span = per_row(t - r, z)
        return teacher_velocity(velocity, z - span * u, r) + span * dudr

    def _check_lagrangian(self) -> None:
        if self.derivative == "discrete":
            raise ConfigError(
                "form=lagrangian needs the derivative in r: derivative jvp or finite_difference",
                received=self.derivative,
            )
        if self.guidance.kind != "none":
            raise ConfigError(
                "form=lagrangian needs guidance.kind=none, because it asks the velocity at the "
                "start of the interval, which no sampled velocity belongs to",
                received=self.guidance.kind,
                remedy="use form=eulerian, or a guided teacher",
            )
