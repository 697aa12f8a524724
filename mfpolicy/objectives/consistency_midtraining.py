"""Consistency mid-training, then distillation, then, if asked for, MeanFlow without a teacher.

Training is cut into phases by the share of it that is done. With a teacher's velocity v_φ:

1. Mid-training. The teacher's Euler path from fresh noise in n steps, z_0 = e at t = 1 and
   z_{k+1} = z_k − v_φ(z_k, t_k) / n, holds displacements of every interval of its grid,

       u(z_i, t_j, t_i) → (z_i − z_j) / (t_i − t_j),    t_i > t_j,

   a plain regression, whose target is exact up to the O(1/n) of the path. It needs no data and no
   derivative, and reaches the interval (0, 1) that is deployed from the first step on.
2. Distillation. MeanFlow with the teacher's velocity in place of the sampled one,
   u_tgt = v_φ − (t − r) [∂_z u · v_φ + ∂_t u], with du/dt from a central difference.
3. Bootstrap. The same with the sampled velocity e − x.

Each row follows a path of its own, down to the end of its interval and no further. The released
code weighs the second and third by S² / sg(S² + c) of the sum of squares S, which has twice the
gradient of the weight 1 / (S + √c) here. How long the phases last is a choice made here.

Source: "MeanFlow Transformers with Representation Autoencoders" (arXiv 2511.13019), with the
constants of its released code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.average_velocity import Draw, where_rows
from mfpolicy.objectives.base import OBJECTIVES, Diagnostics, at_time, per_row
from mfpolicy.objectives.meanflow import MeanFlow
from mfpolicy.objectives.teacher import TeacherOptions, teacher_velocity
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.objectives.weighting import Weighting
from mfpolicy.options import check_range, check_whole, parse_options

PHASES = ("midtraining", "distillation", "bootstrap")


@dataclass(frozen=True)
class Phases:
    """Shares of training; distillation has what the other two leave.

    Attributes:
        midtraining: share at the start.
        bootstrap: share at the end.

    Example:
        >>> phases = Phases(midtraining=0.25, bootstrap=0.25)
        >>> [phases.at(progress) for progress in (0.0, 0.25, 0.75, 1.0)]
        ['midtraining', 'distillation', 'bootstrap', 'bootstrap']
    """

    midtraining: float = 0.25
    bootstrap: float = 0.0

    def __post_init__(self) -> None:
        check_range("phases.midtraining", self.midtraining, 0, 1)
        check_range("phases.bootstrap", self.bootstrap, 0, 1)
        if self.midtraining + self.bootstrap > 1:
            raise ConfigError(
                "phases.midtraining and phases.bootstrap must leave room for one another: their "
                "sum is at most 1",
                received=(self.midtraining, self.bootstrap),
            )

    def at(self, progress: float) -> str:
        """Returns the phase at ``progress`` in [0, 1]."""
        if progress < self.midtraining:
            return "midtraining"
        return "bootstrap" if self.bootstrap and progress >= 1 - self.bootstrap else "distillation"


@OBJECTIVES.register("consistency_midtraining")
class ConsistencyMidTraining(MeanFlow):
    """A teacher's paths first, its velocity then, and the data alone at last.

    Args:
        teacher: options of :class:`TeacherOptions`.
        phases: options of :class:`Phases`.
        path_steps: n, Euler steps of the teacher's path in mid-training.
        time: options of :class:`TimeSampling`; mid-training takes p_end alone of it.
        derivative, derivative_step, dispersive: as in :class:`MeanFlow`.
        weighting: options of :class:`Weighting`; mid-training weighs all rows the same.
        noise: options of :class:`Noise`; the teacher's is the same.

    Example:
        >>> from mfpolicy.objectives.teacher import Taught
        >>> toward = lambda z, r, t: z - 0.5            # a flow to 0.5
        >>> velocity = Taught(lambda z, r, t: 0 * z, teacher=toward)
        >>> loss, diagnostics = ConsistencyMidTraining().loss(velocity, torch.ones(8, 4, 2))
    """

    defaults = {
        "time": {"distribution": "uniform", "p_equal": 0.75, "p_end": 0.1},
        "weighting": {"power": 1.0, "constant": 3e-2, "reduction": "sum"},
    }

    def __init__(
        self,
        *,
        teacher: Mapping[str, Any] | None = None,
        phases: Mapping[str, Any] | None = None,
        path_steps: int = 16,
        time: Mapping[str, Any] | None = None,
        derivative: str = "finite_difference",
        derivative_step: float = 5e-3,
        weighting: Mapping[str, Any] | None = None,
        dispersive: Mapping[str, Any] | None = None,
        noise: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            time=time,
            derivative=derivative,
            derivative_step=derivative_step,
            weighting=weighting,
            dispersive=dispersive,
            noise=noise,
        )
        self.teacher = parse_options(TeacherOptions, teacher)
        self.phases = parse_options(Phases, phases)
        check_whole("path_steps", path_steps, 1, 1000)
        self.path_steps = path_steps
        self.learns_score = False  # the teacher's data and noise need not be independent

    @property
    def phase(self) -> str:
        """The phase of now."""
        return self.phases.at(self.progress)

    @property
    def needs_teacher(self) -> bool:
        """Whether the phase of now has a teacher."""
        return self.phase != "bootstrap"

    def loss(
        self, velocity: Velocity, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, Diagnostics]:
        """Returns the loss on normalised action chunks (B, Th, A), and what to log of it."""
        phase = self.phase
        if phase == "midtraining":
            at = self.on_paths(velocity, self.noise.draw_like(actions, generator), generator)
            loss, diagnostics = self.regress(at, at.v, weighting=Weighting(power=0.0))
        else:
            loss, diagnostics = super().loss(velocity, actions, generator)
        return loss, {**diagnostics, "phase": torch.as_tensor(float(PHASES.index(phase)))}

    def along(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
    ) -> torch.Tensor:
        """Returns the teacher's velocity (B, Th, A) at z, and the line's in the last phase."""
        return teacher_velocity(velocity, z, t) if self.needs_teacher else v

    @torch.no_grad()
    def on_paths(
        self, velocity: Velocity, e: torch.Tensor, generator: torch.Generator | None = None
    ) -> Draw:
        """Draws an interval of the grid for each row, on the teacher's path from its e.

        Args:
            velocity: with the teacher beside it.
            e: (B, Th, A), noise.
            generator: draws the intervals.

        Returns:
            z at the end t of each interval, and in place of v the average velocity over it.
        """
        steps = self.path_steps
        first, last = self._grid_pairs(e, generator)
        z, end = e, e
        for step in range(steps):
            end = torch.where(per_row(first == step, z), z, end)
            t = at_time(1 - step / steps, z)
            v = where_rows(
                last > step, teacher_velocity, velocity, [z, t], otherwise=torch.zeros_like(z)
            )
            z = z - v / steps
        r, t = (1 - index.to(e.dtype) / steps for index in (last, first))
        return Draw(velocity, end, r, t, (end - z) / per_row(t - r, z))

    def _grid_pairs(
        self, like: torch.Tensor, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draws two numbers of grid points a row, (B,) each, counted from the noise on.

        All pairs are equally likely, apart from the share p_end that spans the whole path.
        """
        steps, rows = self.path_steps, len(like)
        options = {"device": like.device, "generator": generator}
        one = torch.randint(steps + 1, (rows,), **options)
        other = torch.randint(steps, (rows,), **options)
        other = other + (other >= one)  # any point but the first one
        first, last = torch.minimum(one, other), torch.maximum(one, other)
        ends = round(self.time.p_end * rows)
        first[:ends], last[:ends] = 0, steps
        return first, last
