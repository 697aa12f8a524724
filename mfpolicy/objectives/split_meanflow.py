"""SplitMeanFlow: an interval's displacement is that of its two parts; no derivative is needed.

For any s between r and t the displacements along the flow add up,

    (t − r) u(z_t, r, t) = (t − s) u(z_t, s, t) + (s − r) u(z_s, r, s),
    z_s = z_t − (t − s) u(z_t, s, t),

so with s = t − l (t − r), l uniform in (0, 1), the network's own two parts, held fixed, are the
target of the whole: u_tgt = l u(z_t, s, t) + (1 − l) u(z_s, r, s). As l → 0 the identity becomes
MeanFlow's. Rows with r = t are flow matching on the sampled velocity, and the only place where
data enter: what short intervals get wrong, long ones inherit, so their share should be large.

The target has no conditional noise; its error is the network's own.

Source: Guo et al. 2025, "SplitMeanFlow: Interval Splitting Consistency in Few-Step Generative
Modeling". The paper distils a flow-matching teacher; here the flow-matching rows take its place,
and their share is a choice made here.
"""

from __future__ import annotations

import torch

from mfpolicy.objectives.average_velocity import AverageVelocityObjective, where_apart
from mfpolicy.objectives.base import OBJECTIVES
from mfpolicy.objectives.interval_target import interval_target, split_time
from mfpolicy.objectives.time_sampling import ENDS
from mfpolicy.objectives.velocity import Velocity


@OBJECTIVES.register("split_meanflow")
class SplitMeanFlow(AverageVelocityObjective):
    """Additivity of displacements at a random split, and flow matching where r = t.

    Args:
        time: options of :class:`TimeSampling`.
        weighting: options of :class:`Weighting`.
        guidance: options of :class:`Guidance`; it reaches long intervals through the r = t rows.
        dispersive: options of :class:`Dispersive`; it applies to networks, not to closed forms.
        noise, coupling, path: options of :class:`Noise`, :class:`Coupling`, :class:`Interpolant`.

    Example:
        >>> objective = SplitMeanFlow(weighting={"power": 0.0})
        >>> loss, diagnostics = objective.loss(lambda z, r, t: 0 * z, torch.ones(8, 4, 2))
    """

    defaults = {"time": ENDS, "weighting": {"power": 0.0}}

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
        """Returns l u(z, s, t) + (1 − l) u(z_s, r, s), and v where r = t (B, Th, A)."""

        def rule(
            velocity: Velocity, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, _: torch.Tensor
        ) -> torch.Tensor:
            share = torch.rand(len(t), device=t.device, dtype=t.dtype, generator=generator)
            return split_target(velocity, z, r, t, share)

        return where_apart(rule, velocity, z, r, t, v)


def split_target(
    velocity: Velocity,
    z: torch.Tensor,
    r: torch.Tensor,
    t: torch.Tensor,
    share: float | torch.Tensor,
) -> torch.Tensor:
    """Returns the target of u(z, r, t) from both parts of [r, t], (B, Th, A).

    Args:
        velocity: u of both parts.
        z: (B, Th, A).
        r: (B,).
        t: (B,).
        share: l, of the interval that the first part takes, a number or (B,).
    """
    first = velocity(z, split_time(r, t, share), t)
    return interval_target(velocity, z, r, t, first, share)
