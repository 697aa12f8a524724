"""Guidance that is baked into the training target, so that inference stays one evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.velocity import ConditionalVelocity, Velocity
from mfpolicy.options import check_choice, check_range

MAX_SCALE = 1e3


@dataclass(frozen=True)
class Guidance:
    """Replaces the conditional velocity v = e − x in the target.

    ``none``: v.

    ``reference``: ω v + (1 − ω) u(z, t, t, c), the form in MP1's released code. Its second term is
    the conditional network itself, so the fixed point is unchanged; ω only scales the noise of
    the target. Offered for comparability.

    ``cfg``: ω v + κ u(z, t, t, c) + (1 − ω − κ) u(z, t, t, ∅), classifier-free guidance of MeanFlow
    (Geng et al. 2025, Eq. 19) with a learned null condition ∅ and effective scale ω / (1 − κ).

    ``interval``: the same for t in [t_min, t_max] alone, and v elsewhere, as MeanFlow's and
    AlphaFlow's released codes do on images.

    Attributes:
        kind: none, reference, cfg or interval.
        omega: ω. kappa: κ.
        drop: share of rows whose condition is dropped, taken among those with r = t.
        t_min, t_max: what ``interval`` guides; other kinds guide every t.

    Raises:
        ConfigError: a value is out of range, or an interval is given to a kind that has none.
    """

    kind: str = "none"
    omega: float = 1.0
    kappa: float = 0.0
    drop: float = 0.1
    t_min: float = 0.0
    t_max: float = 1.0

    def __post_init__(self) -> None:
        check_choice("guidance.kind", self.kind, ("none", "reference", "cfg", "interval"))
        check_range("guidance.drop", self.drop, 0, 1)
        check_range("guidance.omega", self.omega, -MAX_SCALE, MAX_SCALE)
        if self.needs_null:
            check_range("guidance.kappa", self.kappa, 0, 0.999)
        check_range("guidance.t_max", self.t_max, 0, 1)
        check_range("guidance.t_min", self.t_min, 0, self.t_max)
        if self.kind != "interval" and (self.t_min, self.t_max) != (0, 1):
            raise ConfigError(
                f"guidance.kind={self.kind} has no interval",
                received={"t_min": self.t_min, "t_max": self.t_max},
                remedy="use guidance.kind=interval, or leave guidance.t_min and t_max out",
            )

    @property
    def needs_null(self) -> bool:
        """Whether the policy must learn a null condition."""
        return self.kind in ("cfg", "interval")

    def apply(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> tuple[Velocity, torch.Tensor]:
        """Returns the velocity to train (some rows may have lost their condition) and the guided v.

        Raises:
            ConfigError: a kind with a null condition, and a velocity without any condition.
        """
        if self.kind == "none":
            return velocity, v
        if self.kind == "reference":
            with torch.no_grad():
                return velocity, self.omega * v + (1 - self.omega) * velocity(z, t, t)
        conditional = require_condition(velocity, f"guidance.kind={self.kind}")
        return self._classifier_free(conditional, z, r, t, v, generator)

    def _classifier_free(
        self,
        velocity: ConditionalVelocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
        generator: torch.Generator | None,
    ) -> tuple[Velocity, torch.Tensor]:
        dropped = dropped_rows(self.drop, r, t, generator)
        guided = (t >= self.t_min) & (t <= self.t_max) & ~dropped
        with torch.no_grad():
            mixed = self.omega * v + (1 - self.omega - self.kappa) * velocity.unconditional()(
                z, t, t
            )
            if self.kappa:
                mixed = mixed + self.kappa * velocity(z, t, t)
        target = torch.where(per_row(guided, z), mixed, v)
        return velocity.dropped(dropped), target


def dropped_rows(
    share: float, r: torch.Tensor, t: torch.Tensor, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Draws the rows that lose their condition, (B,) bool: ``share`` of all, all of them r = t.

    The null branch is only ever asked for u(z, t, t).
    """
    chance = torch.rand(len(t), device=t.device, dtype=t.dtype, generator=generator)
    equal = r == t
    return equal & (chance < share * len(t) / equal.sum().clamp(min=1))


def require_condition(velocity: Velocity, option: str) -> ConditionalVelocity:
    """Returns the velocity, which must be that of a network under a condition.

    Raises:
        ConfigError: it is a closed form, which has no condition to drop or to guide.
    """
    if not isinstance(velocity, ConditionalVelocity):
        raise ConfigError(
            f"{option} needs a conditional network",
            received=type(velocity).__name__,
            remedy=f"leave {option} out for an unconditional velocity",
        )
    return velocity
