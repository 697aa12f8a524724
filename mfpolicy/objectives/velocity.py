"""The velocity that an objective trains or samples: any callable (z, r, t) → u."""

from __future__ import annotations

from collections.abc import Callable

import torch

from mfpolicy.networks import Network

Velocity = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Average velocity: z (B, Th, A), r (B,), t (B,) in [0, 1] → u (B, Th, A)."""


class ConditionalVelocity:
    """A network under fixed conditions, one per row.

    Closed forms and networks enter objectives alike, as callables (z, r, t). This class adds what
    only a conditional network has: hidden features for regularisers, rows whose condition is
    dropped, and the unconditional branch for guidance.

    Args:
        network: the network.
        prepared: what ``network.prepare`` made of the conditions, (B, F).
        null: the same for the learned null condition, (1, F), or None without one.
        condition: the encoder's output (B, C), for regularisers on it.
        gap: (B, B) int64, steps between two rows' frames, −1 where they are of different episodes.
        teacher: velocity of a teacher under the same observations, for objectives that learn from
            one.
        average: velocity of the averaged weights under the same observations, for objectives that
            take their targets from it.
    """

    def __init__(
        self,
        network: Network,
        prepared: torch.Tensor,
        *,
        null: torch.Tensor | None = None,
        condition: torch.Tensor | None = None,
        gap: torch.Tensor | None = None,
        teacher: Velocity | None = None,
        average: Velocity | None = None,
    ) -> None:
        self.network = network
        self.prepared = prepared
        self.null = null
        self.condition = condition
        self.gap = gap
        self.teacher = teacher
        self.average = average

    def __call__(self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Returns u (B, Th, A)."""
        return self.network(z, r, t, self.prepared)

    def features(
        self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Returns u (B, Th, A) and hidden features, each (B, D)."""
        evaluate = self.network.compiled_features or self.network.features
        return evaluate(z, r, t, self.prepared)

    def with_velocity(
        self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """Returns u and the velocity head's v, (B, Th, A) each, and hidden features, each (B, D).

        Raises:
            ConfigError: the network has no velocity head.
        """
        return self.network.with_velocity(z, r, t, self.prepared)

    def guided(self, guidance: torch.Tensor) -> ConditionalVelocity:
        """Returns the velocity of a network that takes guidance as an input, at ``guidance``.

        Args:
            guidance: scale and interval of each row, (w, t_min, t_max), (B, 3).

        Raises:
            ConfigError: the network takes no such input.
        """
        return self._with(self.network.guide(self.prepared, guidance))

    def rows(self, index: torch.Tensor) -> ConditionalVelocity:
        """Returns the velocity of the rows ``index`` alone."""
        chosen = self._with(self.prepared[index])
        if isinstance(self.teacher, ConditionalVelocity):
            chosen.teacher = self.teacher.rows(index)
        if isinstance(self.average, ConditionalVelocity):
            chosen.average = self.average.rows(index)
        return chosen

    def repeated(self, times: int) -> ConditionalVelocity:
        """Returns the velocity of all rows, ``times`` times over, the encoder run once."""
        index = torch.arange(len(self.prepared), device=self.prepared.device).repeat(times)
        repeated = self.rows(index)
        if self.condition is not None:
            repeated.condition = self.condition[index]
        if self.gap is not None:
            repeated.gap = self.gap[index][:, index]
        return repeated

    def dropped(self, mask: torch.Tensor) -> ConditionalVelocity:
        """Returns the velocity whose rows in ``mask`` (B,) see the null condition."""
        null = self.unconditional().prepared
        return self._with(torch.where(mask[:, None], null, self.prepared))

    def unconditional(self) -> ConditionalVelocity:
        """Returns the velocity under the null condition.

        Raises:
            ValueError: the policy has no null condition, because its objective uses no guidance.
        """
        if self.null is None:
            raise ValueError("this velocity has no null condition")
        return self._with(self.null.expand_as(self.prepared))

    def detached(self) -> ConditionalVelocity:
        """Returns the velocity with no graph into encoder and condition."""
        return self._with(self.prepared.detach())

    def _with(self, prepared: torch.Tensor) -> ConditionalVelocity:
        return ConditionalVelocity(
            self.network,
            prepared,
            null=self.null,
            condition=self.condition,
            gap=self.gap,
            teacher=self.teacher,
            average=self.average,
        )
