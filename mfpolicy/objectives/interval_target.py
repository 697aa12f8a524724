"""The interval target: one jump of an interval is its two parts in turn.

A flow that goes from t to r passes s = t − a (t − r) on its way, so displacements add up:

    (t − r) u(z_t, r, t) = (t − s) u(z_t, s, t) + (s − r) u(z_s, r, s),
    z_s = z_t − (t − s) u(z_t, s, t).                                                          (1)

Divided by t − r, with the first part's velocity v and the second part's u held fixed, this is a
target for u(z_t, r, t):

    a v + (1 − a) u(z_s, r, s),    z_s = z_t − (t − s) v.                                      (2)

Which v and which a make the difference between trajectory flow matching (a = 1), AlphaFlow,
MeanFlow (a → 0, after division of the residual by a), SplitMeanFlow and shortcut models.
"""

from __future__ import annotations

import torch

from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.velocity import Velocity


def split_time(r: torch.Tensor, t: torch.Tensor, share: float | torch.Tensor) -> torch.Tensor:
    """Returns s = t − a (t − r), (B,); ``share`` is a in [0, 1], a number or (B,)."""
    return t - share * (t - r)


def interval_target(
    velocity: Velocity,
    z: torch.Tensor,
    r: torch.Tensor,
    t: torch.Tensor,
    v: torch.Tensor,
    share: float | torch.Tensor,
) -> torch.Tensor:
    """Returns a v + (1 − a) u(z_s, r, s), (B, Th, A), Eq. 2.

    Args:
        velocity: u of the second part.
        z: (B, Th, A).
        r: (B,).
        t: (B,).
        v: (B, Th, A), velocity of the first part.
        share: a, a number or one value a row (B,).

    Example:
        >>> z, r, t = torch.ones(1, 4, 2), torch.zeros(1), torch.ones(1)
        >>> interval_target(lambda z, r, t: z, z, r, t, v=0.5 * z, share=0.5)[0, 0]
        tensor([0.6250, 0.6250])
    """
    a = per_row(torch.as_tensor(share, device=z.device, dtype=z.dtype).expand_as(t), z)
    s = split_time(r, t, share)
    return a * v + (1 - a) * velocity(z - per_row(t - s, z) * v, r, s)
