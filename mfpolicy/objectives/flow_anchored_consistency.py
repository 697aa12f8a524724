"""Flow-anchored consistency models: the way to the data, and flow matching as its anchor.

Of all intervals only those that a one-step sampler asks for are learnt, [0, t]: MeanFlow at r = 0,

    g = clip(sg(u) − [v − t du/dt], ±c),    target = sg(u) − A(t) g,    A(t) = 1 − (1 − t)^½,

weighted by sin(π t / 2). Nothing in it pins the velocity that the derivative follows, so the same
points are also trained at r = t, the anchor,

    ‖u(z, t, t) − v‖² + 1 − cos(u(z, t, t), v),

the cosine over the channels of a step. Intervals with 0 < r < t are not trained, so n steps are
either, as in the paper, a jump to the data, then n − 1 times new noise and another jump,

    x̂ ← z − t u(z, 0, t),    z = (1 − t) x̂ + t e',    t = 1 − 1/n, …, 1/n,                      (1)

or n − 1 Euler steps along the anchored velocity and a jump over the last interval, [0, 1/n].

Source: Peng et al. 2025, "FACM: Flow-Anchored Consistency Models", with the constants of its
released code, which distils a teacher and guides by 1.75 for 1 − t ≥ 0.125; from scratch v = e − x.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.average_velocity import AverageVelocityObjective, Draw, where_apart
from mfpolicy.objectives.base import OBJECTIVES, Diagnostics, at_time, per_row
from mfpolicy.objectives.derivative import forward_derivative
from mfpolicy.objectives.time_sampling import ENDS
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.options import check_choice, check_range, parse_options


@dataclass(frozen=True)
class ArctanTimes:
    """t = (2/π) arctan(exp(n)), n normal; every row is drawn at r = t and used at r = 0 as well.

    Attributes:
        mean, std: of the normal.
        p_end: share of rows with t = 1, where a one-step sampler starts.
    """

    mean: float = -0.8
    std: float = 1.6
    p_end: float = 0.0

    def __post_init__(self) -> None:
        check_range("time.std", self.std, 0, 100)
        check_range("time.p_end", self.p_end, 0, 1)

    def sample(
        self, batch: int, like: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draws (t, t), (B,) each; exactly round(p_end B) rows have t = 1."""
        normal = torch.randn(batch, device=like.device, dtype=like.dtype, generator=generator)
        t = (self.mean + self.std * normal).exp().atan() * (2 / math.pi)
        t[: round(self.p_end * batch)] = 1
        return t, t


@OBJECTIVES.register("flow_anchored_consistency")
class FlowAnchoredConsistency(AverageVelocityObjective):
    """MeanFlow at r = 0 with relaxed steps, anchored by flow matching on the same points.

    Args:
        time: options of :class:`ArctanTimes`.
        clip: bound c of g; None for none.
        relaxed: use A(t) and the weight sin(π t / 2), else 1 for both.
        anchor: weight of the anchor; 0 leaves it out.
        cosine: weight of the cosine within the anchor.
        sampler: of several steps, ``renoise`` (1), for independent coupling, or ``euler``.
        weighting: options of :class:`Weighting`, of the r = 0 rows.
        guidance: options of :class:`Guidance`.
        dispersive: options of :class:`Dispersive`; it applies to networks, not to closed forms.
        noise, coupling, path: options of :class:`Noise`, :class:`Coupling`, :class:`Interpolant`.

    Example:
        >>> objective = FlowAnchoredConsistency(anchor=0.5)
        >>> loss, diagnostics = objective.loss(lambda z, r, t: 0 * z, torch.ones(8, 4, 2))
    """

    predicts = "endpoint"
    learns_flow_map = False

    def __init__(
        self,
        *,
        time: Mapping[str, Any] | None = None,
        clip: float | None = 1.0,
        relaxed: bool = True,
        anchor: float = 1.0,
        cosine: float = 1.0,
        sampler: str = "renoise",
        weighting: Mapping[str, Any] | None = None,
        guidance: Mapping[str, Any] | None = None,
        dispersive: Mapping[str, Any] | None = None,
        noise: Mapping[str, Any] | None = None,
        coupling: Mapping[str, Any] | None = None,
        path: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            weighting=weighting,
            guidance=guidance,
            dispersive=dispersive,
            noise=noise,
            coupling=coupling,
            path=path,
        )
        check_range("anchor", anchor, 0, 1e6)
        check_range("cosine", cosine, 0, 1e6)
        check_choice("sampler", sampler, ("renoise", "euler"))
        if clip is not None and not clip > 0:
            raise ConfigError("clip must be above 0, or none at all", received=clip)
        self.time = parse_options(ArctanTimes, time, ENDS)
        self.clip = clip
        self.relaxed = relaxed
        self.anchor = anchor
        self.cosine = cosine
        self.sampler = sampler
        if sampler == "renoise" and self.coupling.kind != "independent":
            self.step_choices = range(1, 2)  # new noise is paired with no data

    def loss(
        self, velocity: Velocity, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, Diagnostics]:
        """Returns the loss on normalised action chunks (B, Th, A), and what to log of it."""
        at = self.draw(velocity, actions, generator)
        at = Draw(at.velocity, at.z, torch.zeros_like(at.t), at.t, at.v)
        target = self.target(at.velocity, at.z, at.r, at.t, at.v, generator)
        weight = (at.t * (math.pi / 2)).sin() if self.relaxed else 1.0
        loss, diagnostics = self.regress(at, target, weight)
        if self.anchor:
            anchor = self._anchor(at.velocity(at.z, at.t, at.t), at.v)
            loss = loss + self.anchor * anchor
            diagnostics["anchor"] = anchor.detach()
        return loss, diagnostics

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
        """Returns u − A(t) clip(u − [v − (t − r) du/dt]), and v where r = t (B, Th, A)."""
        return where_apart(self._apart, velocity, z, r, t, v)

    def draws_while_sampling(self, steps: int) -> bool:
        """Re-noising draws between steps."""
        return self.sampler == "renoise" and steps > 1

    def sample(
        self,
        velocity: Velocity,
        noise: torch.Tensor,
        steps: int | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Turns noise (B, Th, A) into action chunks with ``steps`` network evaluations.

        Args:
            velocity: u.
            noise: (B, Th, A), standard normal.
            steps: NFE; None takes 1.
            generator: draws the further noise of ``renoise``.

        Raises:
            ConfigError: steps is not a whole number of at least 1.
        """
        steps = self.check_steps(steps)
        z = noise
        if self.sampler == "renoise":
            for left in range(steps, 0, -1):
                t = at_time(left / steps, z)
                if left < steps:
                    z, _ = self.path.at(z, self.noise.draw_like(z, generator), t, generator)
                z = self.noise.contain(z - per_row(t, z) * velocity(z, torch.zeros_like(t), t))
            return z
        for left in range(steps, 0, -1):
            t = at_time(left / steps, z)
            z = self.noise.contain(
                z - velocity(z, t if left > 1 else torch.zeros_like(t), t) / steps
            )
        return z

    def _apart(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
    ) -> torch.Tensor:
        target = v - per_row(t - r, z) * forward_derivative(velocity, z, r, t, v)
        if self.clip is None and not self.relaxed:
            return target
        u = velocity(z, r, t)
        step = u - target
        if self.clip is not None:
            step = step.clamp(-self.clip, self.clip)
        if self.relaxed:
            step = per_row(1 - (1 - t).sqrt(), z) * step
        return u - step

    def _anchor(self, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Mean squared error, and one minus the cosine over the channels of a step."""
        error = (u - v).square().mean()
        if not self.cosine:
            return error
        angle = 1 - torch.nn.functional.cosine_similarity(u, v, dim=-1)
        return error + self.cosine * angle.mean()
