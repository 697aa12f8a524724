"""Shortcut models: a step of size d is two steps of size d / 2.

On a dyadic grid of sizes d = 1, ½, ¼, …, 2/M the target of a step is the mean of the two halves
that the network itself takes, held fixed:

    u_tgt = ½ [u(z_t, t − d/2, t) + u(z', t − d, t − d/2)],    z' = z_t − (d/2) u(z_t, t − d/2, t),

the interval target with a = ½ and own parts. The other rows are flow matching. The smallest size
1/M is labelled r = t here, where the paper labels it d = 1/M: it is the size at which average
and instantaneous velocity are taken for the same, so the halves of d = 2/M ask u(z, t, t).

The halves are taken from an exponential average of the weights, as in the paper, or with
``legs=own`` from the network as it is trained, which saves a pass of the encoder.

Source: Frans et al. 2024, "One Step Diffusion via Shortcut Models", and its released code for the
grid, the clip and plain squared errors. An eighth of its rows have r < t, here it is a quarter, and
its average decays by 0.999, here it is that of training (``training.ema_power``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.average_velocity import AverageVelocityObjective, where_apart
from mfpolicy.objectives.base import OBJECTIVES, per_row
from mfpolicy.objectives.velocity import ConditionalVelocity, Velocity
from mfpolicy.options import check_choice, check_range, parse_options


@dataclass(frozen=True)
class DyadicTimes:
    """Intervals [t − d, t] with d a power of ½ and t on the grid of d, and rows with r = t.

    Attributes:
        grid: M, a power of two; the sizes are 1, ½, …, 2/M.
        p_bootstrap: share of rows with r < t.
        p_end: share of those with (r, t) = (0, 1) whatever the draw.
    """

    grid: int = 128
    p_bootstrap: float = 0.25
    p_end: float = 0.0

    def __post_init__(self) -> None:
        check_range("time.p_bootstrap", self.p_bootstrap, 0, 1)
        check_range("time.p_end", self.p_end, 0, 1)
        if not isinstance(self.grid, int) or self.grid < 2 or self.grid & (self.grid - 1):
            raise ConfigError("time.grid must be a power of two from 2 on", received=self.grid)

    def sample(
        self, batch: int, like: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draws (r, t), each (B,): exactly ⌊p_bootstrap B⌋ rows with r < t, which come first."""
        options = {"device": like.device, "dtype": like.dtype, "generator": generator}
        halvings = self.grid.bit_length() - 1
        level, place, t = torch.rand(3, batch, **options)
        count = 2 ** (level * halvings).floor()  # of steps of size d = 1 / count
        start = (place * count).floor().minimum(count - 1)
        apart = int(self.p_bootstrap * batch)
        ends = round(self.p_end * apart)
        count[:ends], start[:ends] = 1, 0
        r = torch.cat([(start / count)[:apart], t[apart:]])
        t = torch.cat([((start + 1) / count)[:apart], t[apart:]])
        return r, t


@OBJECTIVES.register("shortcut")
class Shortcut(AverageVelocityObjective):
    """Two halves of a step are the target of the whole, on dyadic step sizes.

    Args:
        time: options of :class:`DyadicTimes`.
        clip: bound of z' and of the target, in units of normalised actions.
        legs: whose halves are the target, of the ``average`` of the weights or the network's
            ``own``. A velocity without an average, as a closed form, stands for its own.
        weighting: options of :class:`Weighting`.
        guidance: options of :class:`Guidance`; it reaches long steps through the r = t rows.
        dispersive: options of :class:`Dispersive`; it applies to networks, not to closed forms.
        noise, coupling, path: options of :class:`Noise`, :class:`Coupling`, :class:`Interpolant`.

    Example:
        >>> objective = Shortcut(weighting={"power": 0.0})
        >>> loss, diagnostics = objective.loss(lambda z, r, t: 0 * z, torch.ones(8, 4, 2))
    """

    defaults = {"weighting": {"power": 0.0}}
    learns_flow_map = False  # dyadic intervals alone

    def __init__(
        self,
        *,
        time: Mapping[str, Any] | None = None,
        clip: float = 4.0,
        legs: str = "average",
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
        if not clip > 0:
            raise ConfigError("clip must be above 0", received=clip)
        self.time = parse_options(DyadicTimes, time)
        check_choice("legs", legs, ("average", "own"))
        self.clip = clip
        self.needs_average = legs == "average"

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
        """Returns the clipped mean of the two halves, and v where r = t (B, Th, A)."""
        return where_apart(self._halves, velocity, z, r, t, v)

    def _halves(
        self, velocity: Velocity, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, _: torch.Tensor
    ) -> torch.Tensor:
        if self.needs_average and isinstance(velocity, ConditionalVelocity) and velocity.average:
            velocity = velocity.average
        middle = (r + t) / 2
        smallest = t - r < 3 / self.time.grid  # d = 2/M, whose halves are labelled r = t
        first = velocity(z, torch.where(smallest, t, middle), t)
        halfway = (z - per_row(t - middle, z) * first).clamp(-self.clip, self.clip)
        second = velocity(halfway, torch.where(smallest, middle, r), middle)
        return ((first + second) / 2).clamp(-self.clip, self.clip)

    def check_steps(self, steps: int | None) -> int:
        """Returns ``steps``, or the default for None.

        Raises:
            ConfigError: the step size 1 / steps was not trained.
        """
        steps = super().check_steps(steps)
        if steps & (steps - 1) or 2 * steps > self.time.grid:
            raise ConfigError(
                f"steps must be a power of two of at most {self.time.grid // 2}", received=steps
            )
        return steps
