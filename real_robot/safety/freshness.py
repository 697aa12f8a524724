"""Whether an input is recent, by receipt and by its own stamp, and comes no faster than it may."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from real_robot.causes import Cause
from real_robot.parameters import RobotParameters


class Freshness:
    """The age of one input, and whether its messages flood in.

    Args:
        name: ``cloud``, ``joints`` or ``tool``.
        timeout_s: most time since the last one was received.
        max_age_s: most time since its stamp.
        future_s: that its stamp may lie ahead.
        max_hz: most messages a second, of each stream, over ``window_s``.
        window_s: at least as long that ``max_hz * window_s`` is 1.

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

    def __init__(
        self,
        name: str,
        *,
        timeout_s: float,
        max_age_s: float,
        future_s: float,
        max_hz: float = math.inf,
        window_s: float = 1.0,
    ) -> None:
        words = ("no", "stale", "old", "future", "flood")
        self._causes = {word: Cause(f"{word}_{name}") for word in words}
        self._timeout_s, self._max_age_s, self._future_s = timeout_s, max_age_s, future_s
        self._window_s = window_s
        self._most = int(max_hz * window_s) if math.isfinite(max_hz) else None
        self.forget()

    def came(self, now_s: float, stream: str = "") -> Cause | None:
        """A message came, whatever is in it; the cause if it is one too many in the window.

        Args:
            now_s: when it was received.
            stream: its topic, where an input has several: each has the rate for itself.
        """
        if self._most is None:
            return None
        times_s = self._times_s.setdefault(stream, deque(maxlen=self._most + 1))
        if times_s and now_s < times_s[-1]:
            times_s.clear()
        times_s.append(now_s)
        return self._causes["flood"] if self._floods(times_s, now_s) else None

    def saw(self, *, stamp_s: float, received_s: float) -> None:
        """One came that can be used."""
        self._stamp_s, self._received_s = stamp_s, received_s

    def forget(self) -> None:
        """None has come."""
        self._stamp_s = self._received_s = math.nan
        self._times_s: dict[str, deque[float]] = {}

    def problem(self, now_s: float) -> Cause | None:
        """Why the last one cannot be used now, None where it can."""
        if any(self._floods(each, now_s) for each in self._times_s.values()):
            return self._causes["flood"]
        if math.isnan(self._received_s):
            return self._causes["no"]
        if not -self._future_s <= now_s - self._received_s <= self._timeout_s:
            return self._causes["stale"]
        age_s = now_s - self._stamp_s
        if age_s < -self._future_s:
            return self._causes["future"]
        return None if age_s <= self._max_age_s else self._causes["old"]

    def _floods(self, times_s: deque[float], now_s: float) -> bool:
        """Whether one more than may come lie in the window that ends now."""
        return len(times_s) == times_s.maxlen and 0 <= now_s - times_s[0] <= self._window_s


def freshness_of_inputs(parameters: RobotParameters) -> dict[str, Freshness]:
    """The inputs that a robot needs, by name, with its timeouts."""
    return {
        name: Freshness(
            name,
            timeout_s=getattr(parameters, f"{name}_timeout_s"),
            max_age_s=getattr(parameters, f"{name}_max_age_s"),
            future_s=parameters.future_tolerance_s,
            max_hz=getattr(parameters, f"{name}_max_hz"),
            window_s=parameters.flood_window_s,
        )
        for name in ("cloud", "joints", *(["tool"] if parameters.needs_tool else []))
    }


def first_problem(inputs: Mapping[str, Freshness], now_s: float) -> Cause | None:
    """Why the first of the inputs that is not fresh is not; None where all are."""
    problems = (each.problem(now_s) for each in inputs.values())
    return next((cause for cause in problems if cause is not None), None)
