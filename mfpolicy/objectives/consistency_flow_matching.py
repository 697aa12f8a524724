"""Consistency flow matching: the average velocity down to the end of a time segment.

[0, 1] is cut into K segments; q(t) is the data-side end of the one that holds t. The network
learns u(z, q, t), so that f(z, t) = z − (t − q) u(z, q, t) is the flow's point at q, by agreement
with itself a little nearer to the data on the same line, at s = max(t − δ, q):

    L = E ‖f(z_t, t) − f(z_s, s)‖² + λ E ‖u(z_t, q, t) − u(z_s, q, s)‖².                       (1)

The difference of the first term is (t − q) times the residual of u(z_t, q, t) against the interval
target a v + (1 − a) u(z_s, q, s) with a = (t − s) / (t − q); so this is one of its family, with the
weight (t − q)². Where s = q the target is v itself, the only ground truth there is; s ≤ 1 − b, near
the data, counts as q too (the released codes write time as t' = 1 − t, and cross the segment's end
by up to δ there, which differs by O(δ²)). On Gaussian data of deviation 0.4, with K = 1 and
δ = 0.001, what (1) converges to has the deviation 0.399 at b = 1 and 0.385 at b = 0.9; but it is
slow to converge where truth is rare, and a small network is at 0.344 and 0.374 after 2000 steps.

One jump crosses a segment: K segments need K evaluations. FlowPolicy trains K = 2 and samples in
one, with ``sampler=euler``: on Gaussian data of deviation 0.4 that leaves 0.077, almost regression.

Source: Yang et al. 2024, "Consistency Flow Matching"; Zhang et al. 2025, FlowPolicy; their released
codes. Consistency-FM has K = 2, δ = 0.001, b = 0.9, λ = 1e-5 and a fixed target, FlowPolicy K = 2,
ε = δ = 0.01, b = 1, λ = 1e-5 and gradient through the target; the default K = 1 is a choice made
here, so that one evaluation is right.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch

from mfpolicy.objectives.average_velocity import LineRegression
from mfpolicy.objectives.base import OBJECTIVES, Diagnostics, at_time, per_row
from mfpolicy.objectives.interval_target import interval_target
from mfpolicy.objectives.time_sampling import single_times
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.objectives.weighting import Weighting
from mfpolicy.options import check_choice, check_range, check_whole, parse_options


@OBJECTIVES.register("consistency_flow_matching")
class ConsistencyFlowMatching(LineRegression):
    """Consistency flow matching.

    Args:
        segments: K.
        stop_gradient: hold the target of Eq. 1 fixed (Consistency-FM); FlowPolicy lets gradient
            through it.
        eps: t' = 1 − t is drawn from [eps, 1].
        delta: δ.
        boundary: b; s with 1 − s ≥ b takes the line's own point as its target. Consistency-FM's
            released code has 0.9, FlowPolicy's 1.
        velocity_weight: λ.
        sampler: ``segments`` jumps from end to end, ``euler`` takes the released codes' Euler
            steps, any number of them, which is right for K steps alone.
        inference_steps: network evaluations where none are asked for; None takes K.
        time: options of :class:`TimeSampling` for the draw of t; uniform by default, p_equal is 1.
        weighting: options of :class:`Weighting`; by default every row weighs the same.
        dispersive: options of :class:`Dispersive`.
        noise, coupling, path: options of :class:`Noise`, :class:`Coupling`, :class:`Interpolant`;
            the path is the straight one.

    Raises:
        ConfigError: an option is out of range, or the sampler cannot do ``inference_steps``.

    Example:
        >>> toward = lambda z, r, t: (z - 0.5) / t[:, None, None]     # data that is always 0.5
        >>> ConsistencyFlowMatching(segments=2).sample(toward, torch.zeros(1, 4, 2))[0, 0]
        tensor([0.5000, 0.5000])
    """

    needs_lines = "both points whose ends it compares lie on one line"

    def __init__(
        self,
        *,
        segments: int = 1,
        stop_gradient: bool = True,
        eps: float = 1e-3,
        delta: float = 1e-3,
        boundary: float = 0.9,
        velocity_weight: float = 1e-5,
        sampler: str = "segments",
        inference_steps: int | None = None,
        time: Mapping[str, Any] | None = None,
        weighting: Mapping[str, Any] | None = None,
        dispersive: Mapping[str, Any] | None = None,
        noise: Mapping[str, Any] | None = None,
        coupling: Mapping[str, Any] | None = None,
        path: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(dispersive=dispersive, noise=noise, coupling=coupling, path=path)
        self.time = single_times(time)
        self.weighting = parse_options(Weighting, weighting, {"power": 0.0})
        check_whole("segments", segments, 1, 1000)
        check_range("eps", eps, 0, 0.5)
        check_range("delta", delta, 1e-5, 0.5)
        check_range("boundary", boundary, 0, 1)
        check_range("velocity_weight", velocity_weight, 0, float("inf"))
        check_choice("sampler", sampler, ("segments", "euler"))
        self.segments, self.stop_gradient = segments, stop_gradient
        self.eps, self.delta, self.boundary = eps, delta, boundary
        self.velocity_weight, self.sampler = velocity_weight, sampler
        self.step_choices = (
            range(segments, segments + 1) if sampler == "segments" else range(1, sys.maxsize)
        )
        self.default_steps = self.check_steps(
            segments if inference_steps is None else inference_steps
        )

    def times(
        self, like: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draws t and returns (q(t), t), each (B,)."""
        _, t = super().times(like, generator)
        t = (1 - self.eps) * t
        return self.segment_end(t), t

    def segment_end(self, t: torch.Tensor) -> torch.Tensor:
        """Returns q(t): the end on the data side of the segment that holds t, (B,)."""
        # A time that rounding put just above an end belongs to the segment below it.
        return (torch.ceil(t * self.segments - 1e-6) - 1).clamp(min=0) / self.segments

    def target(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Returns a v + (1 − a) u(z_s, r, s) (B, Th, A), with graph unless ``stop_gradient``."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.stop_gradient):
            return interval_target(velocity, z, r, t, v, self._share(r, t))

    def loss(
        self, velocity: Velocity, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, Diagnostics]:
        """Returns the loss (1) on normalised action chunks (B, Th, A), and what to log of it."""
        at = self.draw(velocity, actions, generator)
        u, features = self.evaluate(at)
        target = self.target(at.velocity, at.z, at.r, at.t, at.v)
        loss, diagnostics = self.regress(at, target, (at.t - at.r).square(), (u, features))
        if self.velocity_weight:
            # target − a v = (1 − a) u(z_s, q, s): the second term costs no third evaluation.
            share = self._share(at.r, at.t)
            keep = (share < 0.99).to(share.dtype)
            near = (target - per_row(share, u) * at.v) / per_row(1 - keep * share, u)
            change = (u - near).square().flatten(1).mean(dim=1) * keep
            loss = loss + self.velocity_weight * change.mean()
            diagnostics["velocity_change"] = change.detach().mean()
        return loss, diagnostics

    def _share(self, r: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Returns a = (t − s) / (t − r), (B,); 1 where s is the segment's end or near the data."""
        a = self.delta / (t - r).clamp(min=self.delta)
        return torch.where(1 - (t - self.delta) >= self.boundary, torch.ones_like(a), a)

    def sample(
        self,
        velocity: Velocity,
        noise: torch.Tensor,
        steps: int | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Jumps from noise (B, Th, A) at t = 1 from segment end to segment end, down to t = 0."""
        steps = self.check_steps(steps)
        eps = self.eps if self.sampler == "euler" else 0.0
        z = noise
        for step in range(steps):
            t = at_time((1 - step / steps) * (1 - eps), z)
            z = self.noise.contain(z - velocity(z, self.segment_end(t), t) / steps)
        return z
