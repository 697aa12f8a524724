"""Guidance that is baked into the training target, so that inference stays one evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.velocity import ConditionalVelocity, Velocity
from mfpolicy.options import check_choice, check_range


@dataclass(frozen=True)
class Guidance:
    """Replaces the conditional velocity v = e − x in the target.

    ``none``: v.

    ``reference``: ω v + (1 − ω) u(z, t, t, c), the form in MP1's released code. Its second term is
    the conditional network itself, so the fixed point is unchanged; ω only scales the noise of
    the target. Offered for comparability.

    ``cfg``: ω v + κ u(z, t, t, c) + (1 − ω − κ) u(z, t, t, ∅), classifier-free guidance of MeanFlow
    (Geng et al. 2025, Eq. 19) with a learned null condition ∅ and effective scale ω / (1 − κ),
    for t in [t_min, t_max].

    Attributes:
        kind: none, reference or cfg.
        omega: ω. kappa: κ.
        drop: share of rows whose condition is dropped, taken among those with r = t.
        t_min, t_max: interval of t that is guided.
    """

    kind: str = "none"
    omega: float = 1.0
    kappa: float = 0.0
    drop: float = 0.1
    t_min: float = 0.0
    t_max: float = 1.0

    def __post_init__(self) -> None:
        check_choice("guidance.kind", self.kind, ("none", "reference", "cfg"))
        check_range("guidance.drop", self.drop, 0, 1)
        if self.kind == "cfg":
            check_range("guidance.kappa", self.kappa, 0, 0.999)

    @property
    def needs_null(self) -> bool:
        """Whether the policy must learn a null condition."""
        return self.kind == "cfg"

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
            ConfigError: ``cfg`` with a velocity that has no condition to drop.
        """
        if self.kind == "none":
            return velocity, v
        if self.kind == "reference":
            with torch.no_grad():
                return velocity, self.omega * v + (1 - self.omega) * velocity(z, t, t)
        if not isinstance(velocity, ConditionalVelocity):
            raise ConfigError(
                "guidance.kind=cfg needs a conditional network",
                received=type(velocity).__name__,
                remedy="use guidance.kind=none for an unconditional velocity",
            )
        return self._classifier_free(velocity, z, r, t, v, generator)

    def _classifier_free(
        self,
        velocity: ConditionalVelocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
        generator: torch.Generator | None,
    ) -> tuple[Velocity, torch.Tensor]:
        chance = torch.rand(len(z), device=z.device, dtype=z.dtype, generator=generator)
        equal = r == t
        share = self.drop * len(z) / equal.sum().clamp(min=1)
        dropped = equal & (chance < share)
        guided = (t >= self.t_min) & (t <= self.t_max) & ~dropped
        with torch.no_grad():
            mixed = self.omega * v + (1 - self.omega - self.kappa) * velocity.unconditional()(
                z, t, t
            )
            if self.kappa:
                mixed = mixed + self.kappa * velocity(z, t, t)
        target = torch.where(per_row(guided, z), mixed, v)
        return velocity.dropped(dropped), target
