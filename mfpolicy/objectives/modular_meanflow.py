"""Modular MeanFlow: how much of the derivative's gradient is let through.

MeanFlow holds its derivative fixed. Modular MeanFlow lets a share λ of its gradient pass,

    L_λ = ‖u + (t − r) SG_λ[∂_z u · w + ∂_t u] − v‖²,    SG_λ[a] = λ a + (1 − λ) sg(a),

with λ led from 0, MeanFlow's semi-gradient, to its full value over a warm-up. The gradient of the
derivative is a reverse pass through a forward one, at two to three times the memory.

With the sampled v = e − x as the path w, the full gradient is biased: the noise of v enters the
residual twice, and the loss is lowered by shrinking the map's Jacobian along with it (on Gaussian
data the map's minimiser is narrower than the data at λ = 1). ``tangent=predicted`` takes the
network's own u(z, t, t), held fixed, which is free of that bias at any λ.

Source: You et al. 2025, "Modular MeanFlow: Towards Stable and Scalable One-Step Generative
Modeling". No official code is public; the linear warm-up over half of training is a choice made
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mfpolicy.objectives.average_velocity import AverageVelocityObjective, where_apart
from mfpolicy.objectives.base import OBJECTIVES, Diagnostics, per_row
from mfpolicy.objectives.derivative import forward_derivative
from mfpolicy.objectives.time_sampling import ENDS
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.options import check_choice, check_range


@OBJECTIVES.register("modular_meanflow")
class ModularMeanFlow(AverageVelocityObjective):
    """MeanFlow with a share of the derivative's gradient.

    Args:
        share: λ after the warm-up.
        warm_up: share of training over which λ rises from 0; 0 for none.
        tangent: path of the derivative, ``sampled`` (e − x) or ``predicted`` (u(z, t, t)).
        time: options of :class:`TimeSampling`.
        weighting: options of :class:`Weighting`.
        guidance: options of :class:`Guidance`.
        dispersive: options of :class:`Dispersive`; it applies to networks, not to closed forms.
        noise, coupling, path: options of :class:`Noise`, :class:`Coupling`, :class:`Interpolant`.

    Example:
        >>> objective = ModularMeanFlow(share=0.3, warm_up=0.5)
        >>> objective.progress = 0.25
        >>> objective.modulation
        0.15
    """

    defaults = {"time": ENDS, "weighting": {"power": 0.0}}

    def __init__(
        self,
        *,
        share: float = 1.0,
        warm_up: float = 0.5,
        tangent: str = "sampled",
        time: Mapping[str, Any] | None = None,
        weighting: Mapping[str, Any] | None = None,
        guidance: Mapping[str, Any] | None = None,
        dispersive: Mapping[str, Any] | None = None,
        noise: Mapping[str, Any] | None = None,
        coupling: Mapping[str, Any] | None = None,
        path: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            time=time,
            weighting=weighting,
            guidance=guidance,
            dispersive=dispersive,
            noise=noise,
            coupling=coupling,
            path=path,
        )
        check_range("share", share, 0, 1)
        check_range("warm_up", warm_up, 0, 1)
        check_choice("tangent", tangent, ("sampled", "predicted"))
        self.share = share
        self.warm_up = warm_up
        self.tangent = tangent

    @property
    def modulation(self) -> float:
        """The λ of now."""
        if self.progress >= self.warm_up:
            return self.share
        return self.share * self.progress / self.warm_up

    def loss(
        self, velocity: Velocity, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, Diagnostics]:
        """Returns the loss on normalised action chunks (B, Th, A), and what to log of it."""
        loss, diagnostics = super().loss(velocity, actions, generator)
        return loss, {**diagnostics, "lambda": torch.as_tensor(self.modulation)}

    def target(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Returns v − (t − r) SG_λ[du/dt] (B, Th, A); it carries a graph where λ > 0."""
        return where_apart(self._apart, velocity, z, r, t, v)

    def _apart(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
    ) -> torch.Tensor:
        path = v
        if self.tangent == "predicted":
            with torch.no_grad():
                path = velocity(z, t, t)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.modulation > 0):
            dudt = forward_derivative(velocity, z, r, t, path)
        modulated = self.modulation * dudt + (1 - self.modulation) * dudt.detach()
        return v - per_row(t - r, z) * modulated
