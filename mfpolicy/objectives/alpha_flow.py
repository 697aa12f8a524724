"""AlphaFlow: from trajectory flow matching to MeanFlow along a curriculum.

The interval target with s = t − a (t − r) and the sampled velocity v in the first part,

    u_tgt = a v + (1 − a) u(z_t − (t − s) v, r, s),    loss a⁻¹ ‖u(z_t, r, t) − sg(u_tgt)‖²,

is plain regression of v onto every interval at a = 1, and has MeanFlow's gradient as a → 0, since
u − u_tgt = a (u − u_MeanFlow) + O(a²). Between them it is biased: the mean of v over what passes
through z_t bends the path of the second part. So a is led from 1 to 0 by a sigmoid in the share of
training that is done, and below a threshold MeanFlow's own target takes over.

With the adaptive weight 1 / (d + c)^p on d = ‖u − u_tgt‖² the factor is a^(2p − 1): it is a⁻¹ at
p = 0, as in the paper's objective, and a at p = 1, as in its released code, and keeps the size of
the gradient through the curriculum at any p.

Source: Zhang et al. 2025, "AlphaFlow: Understanding and Improving MeanFlow Models", and its
released code for the sigmoid, its threshold and p = 1. The distribution of times is MeanFlow's and
c a choice made here; the code's clamp of targets, for its largest models, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.average_velocity import where_apart
from mfpolicy.objectives.base import OBJECTIVES, Diagnostics
from mfpolicy.objectives.interval_target import interval_target
from mfpolicy.objectives.meanflow import MeanFlow
from mfpolicy.objectives.time_sampling import ENDS
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.options import check_range, parse_options


@dataclass(frozen=True)
class Curriculum:
    """a as a function of the share of training that is done: a sigmoid from 1 to 0.

    Attributes:
        start, end: shares of training between which a falls.
        steepness: of the sigmoid, over that span.
        threshold: a nearer than this to 0 or 1 is 0 or 1.

    Example:
        >>> [round(Curriculum().share(done), 3) for done in (0.0, 0.4, 0.5, 0.6, 1.0)]
        [1.0, 0.924, 0.5, 0.076, 0.0]
    """

    start: float = 0.0
    end: float = 1.0
    steepness: float = 25.0
    threshold: float = 5e-3

    def __post_init__(self) -> None:
        check_range("curriculum.start", self.start, 0, 1)
        check_range("curriculum.end", self.end, 0, 1)
        check_range("curriculum.steepness", self.steepness, 1, 1e3)
        check_range("curriculum.threshold", self.threshold, 1e-6, 0.5)
        if not self.start < self.end:
            raise ConfigError(
                "curriculum.start must come before curriculum.end",
                received=(self.start, self.end),
            )

    def share(self, progress: float) -> float:
        """Returns a in [0, 1] at ``progress`` in [0, 1]."""
        place = (progress - (self.start + self.end) / 2) / (self.end - self.start)
        share = 0.5 - 0.5 * math.tanh(self.steepness * place / 2)
        if share < self.threshold:
            return 0.0
        return 1.0 if share > 1 - self.threshold else share


@OBJECTIVES.register("alpha_flow")
class AlphaFlow(MeanFlow):
    """The interval target with a curriculum on a; MeanFlow at its end.

    Args:
        curriculum: options of :class:`Curriculum`.
        time, derivative, derivative_step, weighting, guidance, dispersive, noise, coupling, path:
            as in :class:`MeanFlow`; the path is the straight one.

    Example:
        >>> objective = AlphaFlow()
        >>> objective.progress = 0.5
        >>> objective.share
        0.5
    """

    defaults = {"time": ENDS, "weighting": {"power": 1.0}}
    needs_lines = "the first part of its intervals follows the line from z_t to z_s"

    def __init__(
        self,
        *,
        curriculum: Mapping[str, Any] | None = None,
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
            derivative=derivative,
            derivative_step=derivative_step,
            weighting=weighting,
            guidance=guidance,
            dispersive=dispersive,
            noise=noise,
            coupling=coupling,
            path=path,
        )
        self.curriculum = parse_options(Curriculum, curriculum)

    @property
    def share(self) -> float:
        """The a of now."""
        return self.curriculum.share(self.progress)

    def loss(
        self, velocity: Velocity, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, Diagnostics]:
        """Returns the loss on normalised action chunks (B, Th, A), and what to log of it."""
        at = self.draw(velocity, actions, generator)
        target = self.target(at.velocity, at.z, at.r, at.t, at.v, generator)
        factor = torch.ones_like(at.t)
        if self.share > 0:
            factor[at.r < at.t] = self.share ** (2 * self.weighting.power - 1)
        loss, diagnostics = self.regress(at, target, factor)
        return loss, {**diagnostics, "alpha": torch.as_tensor(self.share)}

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
        """Returns the interval target at the a of now; v at a = 1, MeanFlow's at a = 0."""
        share = self.share
        if share == 1:
            return v
        if share == 0:
            return super().target(velocity, z, r, t, v, generator)

        def rule(velocity: Velocity, *rows: torch.Tensor) -> torch.Tensor:
            return interval_target(velocity, *rows, share=share)

        return where_apart(rule, velocity, z, r, t, v)
