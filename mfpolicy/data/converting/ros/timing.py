"""Which message belongs to which step, by their stamps."""

from __future__ import annotations

import numpy as np

from mfpolicy.errors import DataError


def steps_of(spans: dict[str, np.ndarray], rate_hz: float, where: str) -> np.ndarray:
    """(L,) times, s: the grid of steps in the time that all topics share.

    Args:
        spans: stamps of each topic, s, sorted.
        rate_hz: steps a second.
        where: of which bag, for messages.

    Raises:
        DataError: the topics share no time.

    Example:
        >>> steps_of({"a": np.array([0.0, 1.0]), "b": np.array([0.25, 0.8])}, 4, "").tolist()
        [0.25, 0.5, 0.75]
    """
    begin = max(stamps[0] for stamps in spans.values())
    end = min(stamps[-1] for stamps in spans.values())
    count = int(np.floor((end - begin) * rate_hz + 1e-6)) + 1
    if count < 1:
        raise DataError(
            f"the topics of {where} must share some time",
            received={name: (stamps[0], stamps[-1]) for name, stamps in spans.items()},
        )
    return begin + np.arange(count) / rate_hz


def matched(stamps: np.ndarray, times: np.ndarray, match: str) -> np.ndarray:
    """(L,) the number of the message for each of ``times``.

    Args:
        stamps: (M,) of the messages, s, sorted.
        times: (L,), s.
        match: ``nearest``, ``next`` (the first at or after) or ``hold`` (the last at or before);
            where there is none, the nearest.

    Example:
        >>> matched(np.array([0.0, 1.0, 2.0]), np.array([0.4, 1.0, 1.6]), "next").tolist()
        [1, 1, 2]
    """
    after = np.searchsorted(stamps, times - 1e-9).clip(0, len(stamps) - 1)
    if match == "next":
        return after
    before = (np.searchsorted(stamps, times + 1e-9, "right") - 1).clip(0, len(stamps) - 1)
    if match == "hold":
        return before
    closer = np.abs(stamps[before] - times) <= np.abs(stamps[after] - times)
    return np.where(closer, before, after)
