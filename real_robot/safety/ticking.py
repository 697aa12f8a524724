"""`Ticking`: whether ticks come as a clock that neither jumps nor stands still would let them."""

from __future__ import annotations

import math

from real_robot.causes import Cause

_MOST_EARLY = 3  # ticks in a row: more, and the clock stands still


class Ticking:
    """The times of ticks.

    A tick less than half a period after the one before is early, and no tick.

    Args:
        period_s: between ticks.
        jump_s: most time between two ticks.

    Example:
        >>> ticking = Ticking(period_s=0.1, jump_s=1.0)
        >>> [ticking.problem(now_s) for now_s in (5.0, 5.1)]
        [None, None]
        >>> ticking.problem(9.0)
        (<Cause.CLOCK: 'clock'>, '3.900 s between two ticks')
    """

    def __init__(self, *, period_s: float, jump_s: float) -> None:
        self._period_s, self._jump_s = period_s, jump_s
        self.begin()

    def begin(self) -> None:
        """No tick has come."""
        self._ticked_s: float | None = None
        self._early = 0

    def has_jumped(self, now_s: float) -> bool:
        """Whether a tick of now would find that the clock jumped."""
        before = self._ticked_s
        return before is not None and not 0 <= now_s - before <= self._jump_s

    def problem(self, now_s: float) -> tuple[Cause, str] | None:
        """Takes the time of a tick; why it is none, or that the clock jumped or stands still."""
        before = self._ticked_s
        if before is not None and 0 <= now_s - before < self._period_s / 2:
            self._early += 1
            if self._early < _MOST_EARLY:
                return Cause.EARLY, ""
        self._ticked_s = now_s if math.isfinite(now_s) else None
        jumped = before is not None and not 0 < now_s - before <= self._jump_s
        stands_still, self._early = self._early >= _MOST_EARLY, 0
        if self._ticked_s is not None and not jumped and not stands_still:
            return None
        step_s = math.nan if before is None else now_s - before
        return Cause.CLOCK, f"{step_s:.3f} s between two ticks"
