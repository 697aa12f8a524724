"""Limits of motion, axis by axis: joints, or x, y, z of the tool.

D counts axes, K targets of a command. Positions are radians or metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from real_robot.causes import Cause

Vector = NDArray[np.float64]
_Test = tuple[Cause, NDArray[Any], Vector]  # a limit, whether each axis keeps it, values
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Start:
    """Where a motion begins.

    Attributes:
        measured: (D,), where the robot is measured.
        position: (D,), where it is meant to be now: what was commanded, else what is measured.
        velocity: (D,), at which it is meant to move now.
        first_s: until the first target is due. period_s: from each target to the next.
    """

    measured: Vector
    position: Vector
    velocity: Vector
    first_s: float
    period_s: float


@dataclass(frozen=True)
class Violation:
    """A limit that a command breaks.

    Attributes:
        cause: the limit. axis: its name. target: which of the K targets. detail: as text.
    """

    cause: Cause
    axis: str
    target: int
    detail: str


class MotionLimits:
    """Position, velocity, acceleration and jump limits of D axes.

    Args:
        axes: their names.
        lower, upper: (D,) of positions.
        velocity, acceleration: (D,) largest magnitudes.
        jump: (D,) largest distance of the first target from the measured position.
        outside: cause of a position outside.

    Example:
        >>> limits = MotionLimits(["a"], [-1], [1], velocity=[1], acceleration=[10], jump=[0.5])
        >>> rest = np.zeros(1)
        >>> start = Start(rest, rest, rest, first_s=0.1, period_s=0.1)
        >>> limits.of_positions([[0.05]], start) is None
        True
        >>> limits.of_positions([[0.2]], start).cause
        <Cause.VELOCITY: 'velocity'>
        >>> limits.clamped([[0.2]], start).round(6).tolist()
        [[0.1]]
    """

    def __init__(
        self,
        axes: Sequence[str],
        lower: ArrayLike,
        upper: ArrayLike,
        *,
        velocity: ArrayLike,
        acceleration: ArrayLike,
        jump: ArrayLike,
        outside: Cause = Cause.POSITION,
    ) -> None:
        self.axes, self.outside = tuple(axes), outside
        self.lower, self.upper = np.asarray(lower, np.float64), np.asarray(upper, np.float64)
        self.velocity = np.asarray(velocity, np.float64)
        self.acceleration = np.asarray(acceleration, np.float64)
        self.jump = np.asarray(jump, np.float64)

    def inside(self, position: Vector) -> bool:
        """Whether a position (D,) is within its limits; NaN is not."""
        return bool(((self.lower <= position) & (position <= self.upper)).all())

    def of_positions(self, targets: ArrayLike, start: Start) -> Violation | None:
        """The first limit that targets (K, D) break, None where they keep all."""
        targets = np.asarray(targets, np.float64)
        before, speed, span = start.position, start.velocity, start.first_s
        for number, target in enumerate(targets):
            move = (target - before) / span
            tests: list[_Test] = [
                (Cause.NAN_ACTION, np.isfinite(target), target),
                (self.outside, (self.lower <= target) & (target <= self.upper), target),
            ]
            if number == 0:
                gap = target - start.measured
                tests.append((Cause.JUMP, np.abs(gap) <= self.jump + _ROUNDING, gap))
            tests += self._rates(move, speed, span)
            if found := self._first(tests, number):
                return found
            before, speed, span = target, move, start.period_s
        return None

    def of_velocity(self, velocity: ArrayLike, start: Start) -> Violation | None:
        """The first limit that a velocity (D,) breaks, None where it keeps all.

        It must leave room to brake within the position limits, at the acceleration limit, after
        having been executed for a period.
        """
        velocity = np.asarray(velocity, np.float64)
        braking = velocity * np.abs(velocity) / (2 * self.acceleration)
        end = start.measured + velocity * start.period_s + braking
        tests: list[_Test] = [
            (Cause.NAN_ACTION, np.isfinite(velocity), velocity),
            (self.outside, self._towards_inside(end, start.measured, velocity), end),
            *self._rates(velocity, start.velocity, start.first_s),
        ]
        return self._first(tests, 0)

    def clamped(self, targets: ArrayLike, start: Start) -> Vector:
        """Targets (K, D) moved to the nearest that keep position, velocity and acceleration.

        Jumps are left, and so is what cannot be mended: the result is to be checked again.
        """
        clamped = np.array(targets, np.float64)
        before, speed, span = start.position, start.velocity, start.first_s
        for target in clamped:
            slow, fast = self._speeds(speed, span)
            low = np.maximum(self.lower, before + slow * span)
            high = np.minimum(self.upper, before + fast * span)
            np.minimum(np.maximum(target, low), high, out=target)
            before, speed, span = target.copy(), (target - before) / span, start.period_s
        return clamped

    def clamped_velocity(self, velocity: ArrayLike, start: Start) -> Vector:
        """A velocity (D,) moved to the nearest that keeps velocity and acceleration."""
        slow, fast = self._speeds(start.velocity, start.first_s)
        return np.minimum(np.maximum(np.asarray(velocity, np.float64), slow), fast)

    def _speeds(self, speed: Vector, span: float) -> tuple[Vector, Vector]:
        change = self.acceleration * span
        return np.maximum(-self.velocity, speed - change), np.minimum(self.velocity, speed + change)

    def _rates(self, move: Vector, speed: Vector, span: float) -> list[_Test]:
        rate = (move - speed) / span
        return [
            (Cause.VELOCITY, np.abs(move) <= self.velocity * (1 + _ROUNDING) + _ROUNDING, move),
            (
                Cause.ACCELERATION,
                np.abs(rate) <= self.acceleration * (1 + _ROUNDING) + _ROUNDING / span,
                rate,
            ),
        ]

    def _towards_inside(self, end: Vector, measured: Vector, velocity: Vector) -> NDArray[np.bool_]:
        """Whether each axis ends inside, or is outside already and does not move further out."""
        low = (self.lower <= end) | ((measured < self.lower) & (velocity >= 0))
        return low & ((end <= self.upper) | ((measured > self.upper) & (velocity <= 0)))

    def _first(self, tests: list[_Test], number: int) -> Violation | None:
        for cause, kept, values in tests:
            if not np.all(kept):
                axis = int(np.argmin(kept))
                detail = f"{self.axes[axis]}: {values[axis]:.6g} at target {number + 1}"
                return Violation(cause, self.axes[axis], number, detail)
        return None
