"""How a server fares: counts, and percentiles of its latency."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

WINDOW = 1000


class Health:
    """Counts requests, and keeps the latency of the last ``WINDOW`` that were answered.

    Example:
        >>> health = Health()
        >>> for latency_ms in range(1, 101):
        ...     health.answered(latency_ms)
        >>> health.report()["latency_ms"]
        {'p50': 50, 'p99': 99}
    """

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self._latencies: deque[float] = deque(maxlen=WINDOW)

    def answered(self, latency_ms: float) -> None:
        """Notes a request that got its actions."""
        self.requests += 1
        self._latencies.append(latency_ms)

    def refused(self) -> None:
        """Notes a request that got an error."""
        self.requests += 1
        self.errors += 1

    def report(self) -> dict[str, Any]:
        """What is known so far; percentiles are those of the nearest rank, None without data."""
        ordered = sorted(self._latencies)
        latency = {f"p{percent}": _rank(ordered, percent) for percent in (50, 99)}
        return {"requests": self.requests, "errors": self.errors, "latency_ms": latency}


def _rank(ordered: Sequence[float], percent: int) -> float | None:
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else None
