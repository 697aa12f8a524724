"""Re-MeanFlow: MeanFlow on the pairs of one reflow, whose lines hardly cross.

A teacher's flow carries every noise e to one chunk x̂(e), by its ODE dz/dt = v_φ(z, t) from t = 1 to
t = 0. MeanFlow is then trained on these pairs in place of noise and demonstrations drawn apart,

    z_t = (1 − t) x̂(e) + t e,    v = e − x̂(e),    u_tgt = v − (t − r) (∂_z u · v + ∂_t u).

Where the lines do not cross, v is a function of z: its noise is gone, and the average velocity is v
itself for every r. On Gaussian data N(μ, σ²) with an exact ODE, x̂ = μ + σ e and this is so exactly.
What the teacher gets wrong becomes the data.

The pairs that lie farthest apart are dropped (truncation), here the upper share of each batch; the
released code drops what is farther than a number made for its latents. It solves the ODE once for
four noises a datum; here every row of every step has a pair of its own, from a solver with few
steps. Its change from training with guidance to training without is not part of this objective.

Source: Zhang et al. 2025, "Flow Straighter and Faster: Efficient One-Step Generative Modeling via
MeanFlow on Rectified Trajectories", with the constants of its released code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mfpolicy.objectives.average_velocity import where_rows
from mfpolicy.objectives.base import OBJECTIVES
from mfpolicy.objectives.flow_matching import FlowMatching
from mfpolicy.objectives.meanflow import MeanFlow
from mfpolicy.objectives.teacher import TeacherOptions, teacher_of
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.options import check_range, parse_options

_LONG_END, _LONG_START = 0.8, 0.4
"""Intervals that end after the one and start before the other start at 0."""


@dataclass(frozen=True)
class PairOptions:
    """The pairs of noise and chunk that the teacher makes.

    Attributes:
        solver: of the teacher's ODE, ``euler`` or ``heun``.
        evaluations: of the teacher a pair; ``heun`` takes two a step.
        kept: share of a batch's pairs that are kept, those with the nearest ends; 1 keeps all.
        demonstrated: share of the rows with r = t that keep the demonstrated chunk in place of the
            teacher's.
    """

    solver: str = "heun"
    evaluations: int = 16
    kept: float = 0.9
    demonstrated: float = 0.0

    def __post_init__(self) -> None:
        check_range("pairs.kept", self.kept, 0.01, 1)
        check_range("pairs.demonstrated", self.demonstrated, 0, 1)


@dataclass(frozen=True)
class EndTimes:
    """Times dense near both ends, with intervals of their own distribution.

    t has the density ∝ exp(rate t), or that of 1 − t, each for half of the rows; the interval's
    length is the sigmoid of a normal, cut at r = 0. Intervals from below 0.4 to above 0.8 start at
    0: a known length is easier to learn there.

    Attributes:
        rate: of the exponential.
        mean, std: of the normal.
        p_equal: share of rows with r = t.
        p_end: share of the r < t rows with (r, t) = (0, 1).
    """

    rate: float = 4.0
    mean: float = -0.8
    std: float = 1.0
    p_equal: float = 0.75
    p_end: float = 0.0

    def __post_init__(self) -> None:
        check_range("time.rate", self.rate, 1e-3, 100)
        check_range("time.std", self.std, 0, 100)
        check_range("time.p_equal", self.p_equal, 0, 1)
        check_range("time.p_end", self.p_end, 0, 1)

    def sample(
        self, batch: int, like: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draws (r, t), each (B,): exactly ⌊p_equal B⌋ rows with r = t, which come last."""
        options = {"device": like.device, "dtype": like.dtype, "generator": generator}
        place, side = torch.rand(2, batch, **options)
        t = (place * math.expm1(self.rate)).log1p() / self.rate
        t = torch.where(side < 0.5, t, 1 - t)
        length = torch.sigmoid(self.mean + self.std * torch.randn(batch, **options))
        r = (t - length).clamp(min=0)
        r[(t > _LONG_END) & (r < _LONG_START)] = 0
        apart = batch - int(self.p_equal * batch)
        ends = round(self.p_end * apart)
        r[:ends], t[:ends] = 0, 1
        r[apart:] = t[apart:]
        return r, t


@OBJECTIVES.register("rectified_meanflow")
class RectifiedMeanFlow(MeanFlow):
    """MeanFlow on the pairs of a teacher's flow.

    Args:
        teacher: options of :class:`TeacherOptions`.
        pairs: options of :class:`PairOptions`.
        time: options of :class:`EndTimes`.
        derivative, derivative_step, guidance, dispersive: as in :class:`MeanFlow`.
        weighting: options of :class:`Weighting`.
        noise: options of :class:`Noise`; the teacher's is the same.

    Raises:
        ConfigError: there is no such solver, or it cannot do so many evaluations.

    Example:
        >>> from mfpolicy.objectives.teacher import Taught
        >>> toward = lambda z, r, t: z - 0.5            # a flow to 0.5
        >>> velocity = Taught(lambda z, r, t: 0 * z, teacher=toward)
        >>> loss, diagnostics = RectifiedMeanFlow().loss(velocity, torch.ones(8, 4, 2))
    """

    defaults = {"weighting": {"power": 0.5, "constant": 1e-2}}

    def __init__(
        self,
        *,
        teacher: Mapping[str, Any] | None = None,
        pairs: Mapping[str, Any] | None = None,
        time: Mapping[str, Any] | None = None,
        derivative: str = "jvp",
        derivative_step: float = 5e-3,
        weighting: Mapping[str, Any] | None = None,
        guidance: Mapping[str, Any] | None = None,
        dispersive: Mapping[str, Any] | None = None,
        noise: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            derivative=derivative,
            derivative_step=derivative_step,
            weighting=weighting,
            guidance=guidance,
            dispersive=dispersive,
            noise=noise,
        )
        self.teacher = parse_options(TeacherOptions, teacher)
        self.pairs = parse_options(PairOptions, pairs)
        self.ode = FlowMatching(
            solver=self.pairs.solver, inference_steps=self.pairs.evaluations, noise=noise
        )
        self.time = parse_options(EndTimes, time)
        self.learns_score = False  # its data and its noise are not independent

    @torch.no_grad()
    def ends(
        self,
        velocity: Velocity,
        x: torch.Tensor,
        e: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Returns the chunk x̂(e) (B, Th, A) of each row, and 0 for the rows that are dropped.

        The kept rows weigh so much more that the loss is their mean.
        """
        taught = torch.ones_like(t, dtype=torch.bool)
        equal = int(self.time.p_equal * len(t))  # of the rows, the last
        taught[len(t) - round(self.pairs.demonstrated * equal) :] = False

        def solve(velocity: Velocity, e: torch.Tensor) -> torch.Tensor:
            return self.ode.sample(teacher_of(velocity), e)

        x = where_rows(taught, solve, velocity, [e], otherwise=x)
        if self.pairs.kept == 1:
            return x, None
        distance = (e - x).square().flatten(1).mean(dim=1)
        kept = distance <= distance.quantile(self.pairs.kept)
        return x, kept / kept.to(x.dtype).mean()
