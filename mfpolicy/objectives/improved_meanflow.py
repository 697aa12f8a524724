"""Improved MeanFlow: the derivative along the network's own velocity.

MeanFlow's identity u = v − (t − r) du/dt holds with the flow's velocity v(z, t) in both places.
MeanFlow puts the sampled e − x into both. Improved MeanFlow takes the derivative along the
prediction v_θ = u(z, t, t) and keeps e − x as what is regressed onto, so that the compound

    V = u + (t − r) sg(∂_z u · v_θ + ∂_t u)                                                    (1)

is a function of z_t alone and ‖V − (e − x)‖² a regression of the velocity, as flow matching is.
Its loss is ‖u − u_tgt‖² with u_tgt = (e − x) − (t − r) sg(∂_z u · v_θ + ∂_t u), the form used here:
value and gradient are those of (1). The noise of the target is flow matching's in full, where
MeanFlow's shrinks with the flow; in return an error of ∂_z u is not multiplied by it.

The paper's auxiliary velocity head and its guidance scale as an input need a network with a second
output and a further input, and are not part of this objective.

Source: Geng et al. 2025, "Improved Mean Flows: On the Challenges of Fastforward Generative Models".
"""

from __future__ import annotations

import torch

from mfpolicy.objectives.average_velocity import AverageVelocityObjective, where_apart
from mfpolicy.objectives.base import OBJECTIVES, per_row
from mfpolicy.objectives.derivative import forward_derivative
from mfpolicy.objectives.velocity import Velocity


@OBJECTIVES.register("improved_meanflow")
class ImprovedMeanFlow(AverageVelocityObjective):
    """MeanFlow with the derivative taken along the predicted velocity.

    Args:
        time: options of :class:`TimeSampling`.
        weighting: options of :class:`Weighting`.
        guidance: options of :class:`Guidance`.
        dispersive: options of :class:`Dispersive`; it applies to networks, not to closed forms.
        noise, coupling, path: options of :class:`Noise`, :class:`Coupling`, :class:`Interpolant`.

    Example:
        >>> objective = ImprovedMeanFlow(weighting={"power": 1.0, "reduction": "sum"})
        >>> loss, diagnostics = objective.loss(lambda z, r, t: 0 * z, torch.ones(8, 4, 2))
    """

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
        """Returns v − (t − r) du/dt along u(z, t, t), and v where r = t (B, Th, A)."""
        return where_apart(_along_prediction, velocity, z, r, t, v)


def _along_prediction(
    velocity: Velocity, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, v: torch.Tensor
) -> torch.Tensor:
    predicted = velocity(z, t, t)
    return v - per_row(t - r, z) * forward_derivative(velocity, z, r, t, predicted)
