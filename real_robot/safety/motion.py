"""`Motion`: where the robot is measured, and where what was commanded last has led by now."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from real_robot.safety.limits import Start

Vector = NDArray[np.float64]
_AFTER = 1.5  # periods after its last target, at which a position command has come to rest


class Motion:
    """The course of the robot, as measured and as commanded.

    Args:
        axes: D.
        period_s: between ticks.
        is_velocity: whether velocities are commanded.
    """

    def __init__(self, axes: int, *, period_s: float, is_velocity: bool) -> None:
        self.period_s, self.is_velocity = period_s, is_velocity
        self.measured = np.full(axes, np.nan)
        self._measured_velocity = np.zeros(axes)
        self._sent_s: float | None = None
        self._targets = np.zeros((0, axes))  # of the last move; before them, where it began
        self._begin, self._begin_velocity = np.zeros(axes), np.zeros(axes)

    def measure(self, position: Vector, velocity: Vector) -> None:
        """Takes a measured position (D,) and velocity (D,)."""
        self.measured, self._measured_velocity = position, velocity

    @property
    def is_commanded(self) -> bool:
        """Whether the last command was a move."""
        return self._sent_s is not None

    def sent(self, targets: Vector, start: Start, now_s: float) -> None:
        """A move to targets (K, D) went out."""
        self._sent_s, self._targets = now_s, targets
        self._begin, self._begin_velocity = start.position, start.velocity

    def ended(self) -> None:
        """The move is over: the next one begins where the robot is measured."""
        self._sent_s = None

    def start(self, now_s: float) -> Start:
        """Where a motion that is commanded now begins."""
        position, velocity, first_s = self.measured, self._measured_velocity, self.period_s
        if self._sent_s is not None:
            elapsed_s = now_s - self._sent_s
            if not 0 <= elapsed_s < math.inf:  # the clock jumped
                elapsed_s = self.period_s
            first_s = min(max(elapsed_s, self.period_s / 2), self.period_s)
            if self.is_velocity:
                velocity = self._targets[-1]
            else:
                position, velocity = self._due(elapsed_s)
        return Start(self.measured, position, velocity, first_s, self.period_s)

    def _due(self, elapsed_s: float) -> tuple[Vector, Vector]:
        """Position and velocity (D,) that the last move has led to after a time."""
        steps = elapsed_s / self.period_s
        number = min(int(steps + 0.5), len(self._targets))
        if number < 1:
            return self._begin, self._begin_velocity
        before = self._targets[number - 2] if number > 1 else self._begin
        at_rest = steps > len(self._targets) + _AFTER - 1
        move = (self._targets[number - 1] - before) / self.period_s
        return self._targets[number - 1], np.zeros_like(move) if at_rest else move
