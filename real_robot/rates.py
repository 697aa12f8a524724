"""Rates and durations of the recent past, for diagnostics."""

from __future__ import annotations

from collections import deque

import numpy as np


class Recent:
    """The last numbers of a kind.

    Args:
        kept: how many.

    Example:
        >>> recent = Recent()
        >>> recent.percentiles() is None
        True
        >>> for value in (1.0, 2.0, 3.0):
        ...     recent.add(value)
        >>> recent.percentiles()[0]
        2.0
    """

    def __init__(self, kept: int = 300) -> None:
        self._values: deque[float] = deque(maxlen=kept)

    def add(self, value: float) -> None:
        """Adds one."""
        self._values.append(value)

    def percentiles(self) -> tuple[float, float] | None:
        """The median and the 99th percentile; None before the first."""
        if not self._values:
            return None
        median, high = np.percentile(list(self._values), (50, 99))
        return float(median), float(high)


class Rate:
    """How often something comes.

    Args:
        span_s: of the past that counts.

    Example:
        >>> rate = Rate(span_s=1.0)
        >>> for place in range(20):
        ...     rate.came(place * 0.1)
        >>> rate.hz(1.95)
        10.0
        >>> round(rate.period_p99_s(1.95), 6)
        0.1
    """

    def __init__(self, span_s: float = 2.0) -> None:
        self._span_s = span_s
        self._times_s: deque[float] = deque(maxlen=10_000)

    def came(self, now_s: float) -> None:
        """One came; those before the span are forgotten, and all where the clock went back."""
        times_s = self._times_s
        if times_s and now_s < times_s[-1]:
            times_s.clear()
        while times_s and now_s - times_s[0] > self._span_s:
            times_s.popleft()
        times_s.append(now_s)

    def hz(self, now_s: float) -> float:
        """Times a second, over the span that ends now."""
        return len(self._within(now_s)) / self._span_s

    def jitter_s(self, now_s: float) -> float:
        """The standard deviation of the times between them, over the same span; 0 below three."""
        times_s = self._within(now_s)
        return float(np.std(np.diff(times_s))) if len(times_s) > 2 else 0.0

    def period_p99_s(self, now_s: float) -> float:
        """The 99th percentile of the times between them, over the same span; 0 below three."""
        times_s = self._within(now_s)
        return float(np.percentile(np.diff(times_s), 99)) if len(times_s) > 2 else 0.0

    def _within(self, now_s: float) -> list[float]:
        return [time_s for time_s in self._times_s if 0 <= now_s - time_s <= self._span_s]
