"""Whether an input is recent: by when it was received, and by its own stamp."""

from __future__ import annotations

import math
from collections.abc import Mapping

from real_robot.causes import Cause
from real_robot.parameters import RobotParameters


class Freshness:
    """The age of one input.

    Args:
        name: ``cloud``, ``joints`` or ``tool``.
        timeout_s: most time since the last one was received.
        max_age_s: most time since its stamp.
        future_s: that its stamp may lie ahead.

    Example:
        >>> cloud = Freshness("cloud", timeout_s=0.5, max_age_s=0.5, future_s=0.05)
        >>> cloud.problem(0.0)
        <Cause.NO_CLOUD: 'no_cloud'>
        >>> cloud.saw(stamp_s=0.9, received_s=1.0)
        >>> cloud.problem(1.1) is None
        True
        >>> cloud.problem(1.45)
        <Cause.OLD_CLOUD: 'old_cloud'>
    """

    def __init__(self, name: str, *, timeout_s: float, max_age_s: float, future_s: float) -> None:
        self._causes = {word: Cause(f"{word}_{name}") for word in ("no", "stale", "old", "future")}
        self._timeout_s, self._max_age_s, self._future_s = timeout_s, max_age_s, future_s
        self.forget()

    def saw(self, *, stamp_s: float, received_s: float) -> None:
        """One came that can be used."""
        self._stamp_s, self._received_s = stamp_s, received_s

    def forget(self) -> None:
        """None has come."""
        self._stamp_s = self._received_s = math.nan

    def problem(self, now_s: float) -> Cause | None:
        """Why the last one cannot be used now, None where it can."""
        if math.isnan(self._received_s):
            return self._causes["no"]
        if not -self._future_s <= now_s - self._received_s <= self._timeout_s:
            return self._causes["stale"]
        age_s = now_s - self._stamp_s
        if age_s < -self._future_s:
            return self._causes["future"]
        return None if age_s <= self._max_age_s else self._causes["old"]


def freshness_of_inputs(parameters: RobotParameters) -> dict[str, Freshness]:
    """The inputs that a robot needs, by name, with its timeouts."""
    return {
        name: Freshness(
            name,
            timeout_s=getattr(parameters, f"{name}_timeout_s"),
            max_age_s=getattr(parameters, f"{name}_max_age_s"),
            future_s=parameters.future_tolerance_s,
        )
        for name in ("cloud", "joints", *(["tool"] if parameters.needs_tool else []))
    }


def first_problem(inputs: Mapping[str, Freshness], now_s: float) -> Cause | None:
    """Why the first of the inputs that is not fresh is not; None where all are."""
    problems = (each.problem(now_s) for each in inputs.values())
    return next((cause for cause in problems if cause is not None), None)
