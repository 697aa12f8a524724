"""Derivatives in time of the average velocity: du/dt along a path, r fixed, and ∂u/∂r.

Along a path with dz_t/dt = w it is du/dt = ∂_z u · w + ∂_t u, one directional derivative with the
tangent (dz, dr, dt) = (w, 0, 1); ∂u/∂r has the tangent (0, 1, 0). Both are taken in the precision
of z, also under autocast: a difference over a small step would drown in the rounding of bfloat16,
and a target that holds a derivative times t − r needs more than its eight bits.
"""

from __future__ import annotations

import threading

import torch
from torch.autograd import forward_ad

from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.velocity import Velocity

_LEVEL = threading.RLock()
"""Held by the thread that is in forward mode.

PyTorch has one level a process, and a graph recorded in it keeps tangents until the level is left.
Were another thread to hold the level open, a backward pass would meet them. Within a thread a
second level is refused by PyTorch.
"""


def forward_derivative(
    velocity: Velocity, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, tangent: torch.Tensor
) -> torch.Tensor:
    """Returns du/dt (B, Th, A), exact, in one forward-mode pass.

    Args:
        velocity: u, differentiable in forward mode.
        z: (B, Th, A).
        r: (B,).
        t: (B,).
        tangent: dz/dt, (B, Th, A).
    """
    with torch.autocast(z.device.type, enabled=False), _LEVEL, forward_ad.dual_level():
        u = velocity(
            forward_ad.make_dual(z, tangent), r, forward_ad.make_dual(t, torch.ones_like(t))
        )
        dudt = forward_ad.unpack_dual(u).tangent
        return torch.zeros_like(z) if dudt is None else dudt


def central_derivative(
    velocity: Velocity,
    z: torch.Tensor,
    r: torch.Tensor,
    t: torch.Tensor,
    tangent: torch.Tensor,
    *,
    step: float,
) -> torch.Tensor:
    """Returns du/dt (B, Th, A) from u at t ± step, two plain evaluations.

    u is not asked for outside r ≤ t ≤ 1: there the difference reaches less far on that side,
    and its error grows from O(step²) to O(step).

    Args:
        velocity: u.
        z: (B, Th, A).
        r: (B,), below t.
        t: (B,).
        tangent: dz/dt, (B, Th, A).
        step: reach in t to either side.
    """
    later, earlier = (t + step).clamp(max=1), torch.maximum(t - step, r)
    with torch.autocast(z.device.type, enabled=False):
        ahead = velocity(z + per_row(later - t, z) * tangent, r, later)
        behind = velocity(z + per_row(earlier - t, z) * tangent, r, earlier)
    return (ahead - behind) / per_row(later - earlier, z)


def forward_start_derivative(
    velocity: Velocity, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns u and ∂u/∂r (B, Th, A), exact, in one forward-mode pass.

    Args:
        velocity: u, differentiable in forward mode.
        z: (B, Th, A).
        r: (B,).
        t: (B,).
    """
    with torch.autocast(z.device.type, enabled=False), _LEVEL, forward_ad.dual_level():
        u, dudr = forward_ad.unpack_dual(
            velocity(z, forward_ad.make_dual(r, torch.ones_like(r)), t)
        )
        return u, torch.zeros_like(z) if dudr is None else dudr


def central_start_derivative(
    velocity: Velocity, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, *, step: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns u and ∂u/∂r (B, Th, A), the latter from u at r ± step: three plain evaluations.

    u is not asked for outside 0 ≤ r ≤ t: there the difference reaches less far on that side, and
    its error grows from O(step²) to O(step).

    Args:
        velocity: u.
        z: (B, Th, A).
        r: (B,), below t.
        t: (B,).
        step: reach in r to either side.
    """
    later, earlier = torch.minimum(r + step, t), (r - step).clamp(min=0)
    with torch.autocast(z.device.type, enabled=False):
        change = velocity(z, later, t) - velocity(z, earlier, t)
        return velocity(z, r, t), change / per_row(later - earlier, z)
