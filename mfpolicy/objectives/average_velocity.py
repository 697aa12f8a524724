"""What the objectives that regress an average velocity u(z, r, t) share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mfpolicy.objectives.base import Diagnostics, Objective, per_row, squares_by_region
from mfpolicy.objectives.coupling import Coupling
from mfpolicy.objectives.dispersive import Dispersive, evaluate
from mfpolicy.objectives.guidance import Guidance
from mfpolicy.objectives.interpolant import Interpolant, check_path
from mfpolicy.objectives.noise import Noise
from mfpolicy.objectives.time_sampling import ENDS, TimeSampling
from mfpolicy.objectives.velocity import ConditionalVelocity, Velocity
from mfpolicy.objectives.weighting import Weighting
from mfpolicy.options import parse_options

Evaluated = tuple[torch.Tensor, list[torch.Tensor]]  # u (B, Th, A), hidden features (B, D)


@dataclass(frozen=True)
class Draw:
    """Points on the paths between data and noise, and the intervals to learn there.

    Attributes:
        velocity: what is trained; guidance may have taken the condition from some rows.
        z: z_t, (1 − t) x + t e on the straight path, (B, Th, A).
        r: (B,), start of the interval. t: (B,), its end.
        v: the (guided) conditional velocity dz_t/dt, e − x on the straight path, (B, Th, A).
        weight: (B,), of each row in the loss; None weighs all the same.
    """

    velocity: Velocity
    z: torch.Tensor
    r: torch.Tensor
    t: torch.Tensor
    v: torch.Tensor
    weight: torch.Tensor | None = None


class LineRegression(Objective):
    """Regression on points of the paths between data and noise, row by row.

    A subclass says what the target is; :meth:`draw` and :meth:`regress` are the rest of its loss.

    Args:
        time: options of :class:`TimeSampling`.
        weighting: options of :class:`Weighting`.
        guidance, dispersive: options of :class:`Guidance`, :class:`Dispersive`.
        noise, coupling, path: options of :class:`Noise`, :class:`Coupling`, :class:`Interpolant`.

    Attributes:
        needs_lines: why nothing but a straight path will do, where that is so.
        defaults: of ``time`` and ``weighting``, where they are not those of the options.

    Raises:
        ConfigError: the path is not one that the objective, or the noise, can be used with.
    """

    needs_lines: str = ""
    defaults: Mapping[str, Mapping[str, Any]] = {}

    def __init__(
        self,
        *,
        time: Mapping[str, Any] | None = None,
        weighting: Mapping[str, Any] | None = None,
        guidance: Mapping[str, Any] | None = None,
        dispersive: Mapping[str, Any] | None = None,
        noise: Mapping[str, Any] | None = None,
        coupling: Mapping[str, Any] | None = None,
        path: Mapping[str, Any] | None = None,
    ) -> None:
        self.time = parse_options(TimeSampling, time, self.defaults.get("time"))
        self.weighting = parse_options(Weighting, weighting, self.defaults.get("weighting"))
        self.guidance = parse_options(Guidance, guidance)
        self.dispersive = parse_options(Dispersive, dispersive)
        self.noise = parse_options(Noise, noise)
        self.coupling = parse_options(Coupling, coupling)
        self.path = parse_options(Interpolant, path)
        self.needs_null = self.guidance.needs_null
        plain = self.noise.kind == "gaussian" and self.coupling.kind == "independent"
        self.learns_score = plain and self.path.straight and not self.needs_null
        check_path(self.path, self.noise, type(self).__name__, self.needs_lines)

    def loss(
        self, velocity: Velocity, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, Diagnostics]:
        """Returns the loss on normalised action chunks (B, Th, A), and what to log of it."""
        at = self.draw(velocity, actions, generator)
        return self.regress(at, self.target(at.velocity, at.z, at.r, at.t, at.v, generator))

    def target(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Returns what u(z, r, t) is regressed onto, (B, Th, A); v itself where r = t.

        Args:
            velocity: u.
            z: (B, Th, A).
            r: (B,).
            t: (B,).
            v: (B, Th, A), the (guided) conditional velocity.
            generator: for targets that draw something.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement target()")

    def draw(
        self, velocity: Velocity, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> Draw:
        """Draws noise and times, pairs noise with data, and guides the velocity.

        Raises:
            ConfigError: the batch is too small for the coupling.
        """
        x = actions
        e = self.coupling.pair(velocity, x, self.noise.draw_like(x, generator))
        r, t = self.times(x, generator)
        x, weight = self.ends(velocity, x, e, r, t)
        z, v = self.path.at(x, e, t, generator)
        v = self.along(velocity, z, r, t, v)
        velocity, v = self.guidance.apply(velocity, z, r, t, v, generator)
        return Draw(velocity, z, r, t, v, weight)

    def ends(
        self,
        velocity: Velocity,
        x: torch.Tensor,
        e: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Returns the data end (B, Th, A) of the path that starts in each e, and row weights (B,).

        Here the demonstrated x, all weighing the same (None).
        """
        return x, None

    def along(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
    ) -> torch.Tensor:
        """Returns the velocity (B, Th, A) that is learnt at z, before guidance; here the path's."""
        return v

    def times(
        self, like: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draws the intervals (r, t), each (B,), for the rows of ``like`` (B, Th, A)."""
        return self.time.sample(len(like), like, generator)

    def evaluate(self, at: Draw) -> Evaluated:
        """Returns u (B, Th, A) with graph, and the hidden features of a network."""
        return evaluate(at.velocity, at.z, at.r, at.t)

    def regress(
        self,
        at: Draw,
        target: torch.Tensor,
        factor: float | torch.Tensor = 1.0,
        evaluated: Evaluated | None = None,
        weighting: Weighting | None = None,
    ) -> tuple[torch.Tensor, Diagnostics]:
        """Returns the weighted loss of u against ``target``, and diagnostics.

        Args:
            at: where u is evaluated, with graph.
            target: (B, Th, A).
            factor: on each row's loss, a number or (B,).
            evaluated: what :meth:`evaluate` returned, where it was called before.
            weighting: in place of the objective's own.
        """
        u, features = evaluated if evaluated is not None else self.evaluate(at)
        residual = u - target
        losses = factor * (weighting or self.weighting).loss(residual)
        loss = (losses if at.weight is None else at.weight * losses).mean()
        diagnostics = squares_by_region(residual.detach(), at.r, at.t)
        return self.dispersive.add(loss, diagnostics, at.velocity, features), diagnostics


class AverageVelocityObjective(LineRegression):
    """Regression of u(z, r, t) on any interval; its target's mean is u itself, or tends to it."""

    learns_flow_map = True
    defaults = {"time": ENDS}


def where_apart(
    rule: Callable[..., torch.Tensor], velocity: Velocity, *rows: torch.Tensor
) -> torch.Tensor:
    """Returns ``rule(velocity, z, r, t, v)`` on the rows with r < t and v on the others.

    Args:
        rule: gives the target of rows, (B, Th, A).
        velocity: u.
        rows: z (B, Th, A), r (B,), t (B,), v (B, Th, A).
    """
    _, r, t, v = rows
    return where_rows(r < t, rule, velocity, rows, otherwise=v)


def where_rows(
    mask: torch.Tensor,
    rule: Callable[..., torch.Tensor],
    velocity: Velocity,
    rows: Sequence[torch.Tensor],
    *,
    otherwise: torch.Tensor,
) -> torch.Tensor:
    """Returns ``rule(velocity, *rows)`` on the rows in ``mask`` and ``otherwise`` on the others.

    A network is evaluated on the rows in ``mask`` alone; a closed form, which cannot be split into
    rows, on all of them.

    Args:
        mask: (B,) bool.
        rule: gives (B, Th, A) for rows.
        velocity: handed to ``rule``, of the same rows.
        rows: tensors (B, …).
        otherwise: (B, Th, A).
    """
    if not isinstance(velocity, ConditionalVelocity):
        return torch.where(per_row(mask, otherwise), rule(velocity, *rows), otherwise)
    chosen = mask.nonzero()[:, 0]
    if not len(chosen):
        return otherwise
    values = rule(velocity.rows(chosen), *(value[chosen] for value in rows))
    return otherwise.index_copy(0, chosen, values)
