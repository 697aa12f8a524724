"""Stamps, where a dataset has them: an array of the name time, stamp or timestamp with a unit."""

from __future__ import annotations

import numpy as np

from mfpolicy.data.checking.base import CHECKS, Block, Check
from mfpolicy.data.checking.findings import code
from mfpolicy.data.checking.stamps import STAMPS

BACKWARDS = code(
    "time-backwards", "error", "stamps increase within an episode",
    "leave the episode out, or look whether steps were written in the wrong order",
)  # fmt: skip
GAP = code(
    "time-gap", "warning", "steps follow one another at an even rate",
    "look whether steps were lost; a policy takes them for one step",
)  # fmt: skip
RATE = code(
    "rate-mismatch", "warning", "stamps and the control rate agree",
    "correct control_rate_hz: a policy is run at that rate",
)  # fmt: skip

_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
_ENOUGH = 1 << 16


@CHECKS.register("timing")
class Timing(Check):
    """Stamps that go back, leave gaps, or contradict the control rate.

    Integers without a unit in their name are nanoseconds, other numbers seconds.
    """

    def wants(self, array: str) -> bool:
        """Stamps: one number a step."""
        self._row, self._last = -1, 0
        self._median: float | None = None
        self._intervals: list[float] = []
        self._measured = 0
        stored = self.survey.arrays[array].array
        return bool(STAMPS.match(array)) and stored.size == stored.shape[0]

    def look(self, block: Block) -> None:
        """Looks at a block."""
        stamps = block.values.reshape(-1)
        if stamps.dtype.kind == "u":
            stamps = stamps.astype(np.int64)
        if self._row == block.row and block.step:
            stamps = np.concatenate([[self._last], stamps])
        first = block.step + len(block.values) - len(stamps)
        self._last, self._row = stamps[-1], block.row + len(block.values)
        with np.errstate(invalid="ignore"):
            interval = np.diff(stamps).astype(np.float64)  # (n,)
        back = np.flatnonzero(interval <= 0)
        if len(back):
            self.log.add(
                BACKWARDS, f"{stamps[back[0] + 1]} after {stamps[back[0]]}",
                array=block.path, episode=block.episode, step=int(first + back[0] + 1),
                steps=len(back),
            )  # fmt: skip
        forth = interval[interval > 0]
        self._intervals.extend(forth[: _ENOUGH - len(self._intervals)].tolist())
        if len(self._intervals) >= min(2 * self._measured, _ENOUGH):  # not of all for each block
            self._measure()
        if self._median is None:
            return
        gaps = np.flatnonzero(interval > self.limits.max_gap_factor * self._median)
        if len(gaps):
            self.log.add(
                GAP, f"{interval[gaps[0]] / self._median:.1f} times the usual interval",
                array=block.path, episode=block.episode, step=int(first + gaps[0] + 1),
                steps=len(gaps),
            )  # fmt: skip

    def _measure(self) -> None:
        """Takes the median of the intervals, if there are more than the last time."""
        if len(self._intervals) > self._measured:
            self._median = float(np.median(self._intervals))
            self._measured = len(self._intervals)

    def finish_array(self, array: str) -> None:
        """Compares the median interval with the control rate."""
        self._measure()
        rate, name = self.survey.control_rate_hz, STAMPS.match(array)
        if rate is None or self._median is None or name is None:
            return
        whole = self.survey.arrays[array].array.dtype.kind in "iu"
        unit = _SECONDS[name[2] or ("ns" if whole else "s")]
        measured = 1 / (self._median * unit)
        if abs(measured / rate - 1) > self.limits.rate_tolerance:
            self.log.add(
                RATE, f"stamps say {measured:.4g} Hz, the dataset says {rate:g} Hz",
                array=f"data/{array}",
            )  # fmt: skip
