"""Guidance whose scale is an input of the network: chosen at deployment, not before training.

The network is u(z, r, t | c, w, t_min, t_max), trained at every scale w in [1, w_max] and with the
interval of t that is guided. With its own prediction at r = t, held fixed,

    v_g = v + (1 − 1/w) [u(z, t, t | c, w) − u(z, t, t | ∅, 1)]                                (1)

takes the place of the sampled v in the target, with w = 1 at a t outside the interval: its fixed
point is v_∅ + w (v_c − v_∅), classifier-free guidance. Rows with r = t have no interval to cross
and always see [0, 1].

Source: Geng et al. 2025, "Improved Mean Flows: On the Challenges of Fastforward Generative Models",
and its released code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.options import check_range


@dataclass(frozen=True)
class ScaleInput:
    """How guidance scales are drawn in training, and which one is deployed.

    Attributes:
        active: the network takes a scale and an interval; it also learns a null condition.
        max_scale: w_max.
        power: β, the density of w is proportional to w^−β.
        interval: draw t_min from U(0, ½) and t_max from U(½, 1); else they stay 0 and 1.
        drop: share of rows whose condition is dropped, taken among those with r = t.
        scale: w that is deployed where none is asked for.
        t_min, t_max: the interval that is deployed.

    Raises:
        ConfigError: a value is out of range, or an interval is deployed and none was trained.
    """

    active: bool = False
    max_scale: float = 8.0
    power: float = 1.0
    interval: bool = True
    drop: float = 0.1
    scale: float = 1.0
    t_min: float = 0.0
    t_max: float = 1.0

    def __post_init__(self) -> None:
        check_range("scale_input.max_scale", self.max_scale, 1, 1e3)
        check_range("scale_input.power", self.power, 0, 10)
        check_range("scale_input.drop", self.drop, 0, 1)
        check_range("scale_input.scale", self.scale, 1, self.max_scale)
        check_range("scale_input.t_min", self.t_min, 0, 0.5)
        check_range("scale_input.t_max", self.t_max, 0.5, 1)
        if not self.interval and (self.t_min, self.t_max) != (0, 1):
            raise ConfigError(
                "an interval of guidance is deployed only where it was trained",
                received={"t_min": self.t_min, "t_max": self.t_max},
                remedy="set scale_input.interval=true, or leave t_min and t_max out",
            )

    def draw(
        self, r: torch.Tensor, t: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Draws (w, t_min, t_max) for rows with the intervals (r, t), (B, 3)."""
        options = {"device": t.device, "dtype": t.dtype, "generator": generator}
        scale, low, high = torch.rand(3, len(t), **options)
        if self.power == 1:
            w = self.max_scale**scale
        else:
            rest = 1 - self.power  # the integral of w^−β, inverted
            w = (1 + scale * (self.max_scale**rest - 1)) ** (1 / rest)
        crossed = (r < t) & self.interval
        low, high = torch.where(crossed, low / 2, 0), torch.where(crossed, (1 + high) / 2, 1)
        return torch.stack([w, low, high], dim=1)

    def deployed(self, scale: float | None, like: torch.Tensor) -> torch.Tensor:
        """Returns (w, t_min, t_max) for every row of ``like`` (B, …), (B, 3).

        Raises:
            ConfigError: the network was not trained at this scale.
        """
        if scale is not None:
            check_range("guidance_scale", scale, 1, self.max_scale)
        w = self.scale if scale is None else scale
        return like.new_tensor([w, self.t_min, self.t_max]).expand(like.shape[0], 3)


def active_scale(guidance: torch.Tensor, t: torch.Tensor, dropped: torch.Tensor) -> torch.Tensor:
    """Returns the scale that holds at t, (B,): 1 outside the interval and without a condition.

    Args:
        guidance: (w, t_min, t_max) of each row, (B, 3).
        t: (B,).
        dropped: (B,) bool, rows without their condition.
    """
    w, low, high = guidance.unbind(dim=1)
    return torch.where((t >= low) & (t <= high) & ~dropped, w, 1)


def everywhere(scale: torch.Tensor) -> torch.Tensor:
    """Returns (w, 0, 1), (B, 3): guidance at these scales (B,) and every t."""
    return torch.stack([scale, torch.zeros_like(scale), torch.ones_like(scale)], dim=1)
