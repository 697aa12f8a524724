"""Motion that no robot makes: jumps, spikes, angles that wrap, ends of episodes in the wrong place.

What is a jump is judged by the recordings themselves: against the 95th percentile of the changes
of the same channel. Channels that mostly rest are switches, and may jump.
"""

from __future__ import annotations

import numpy as np

from mfpolicy.data.checking.base import CHECKS, Block, Check
from mfpolicy.data.checking.changes import Largest, MagnitudeHistogram
from mfpolicy.data.checking.findings import Code, code

JUMP = code(
    "state-jump", "error", "the state does not jump from one step to the next",
    "leave the episode out, or raise jump_factor if the robot moves so",
)  # fmt: skip
WRAP = code(
    "angle-wrap", "warning", "an angle does not wrap round within an episode",
    "unwrap the angle, or store its sine and cosine",
)  # fmt: skip
SPIKE = code(
    "action-spike", "error", "no action is far beyond all the others",
    "leave the episode out, or raise spike_factor if such commands are meant",
)  # fmt: skip
RATE = code(
    "rate-exceeded", "error", "states and actions change at most as fast as the limits given say",
    "leave the episode out, or raise max_state_rate or max_action_rate",
)  # fmt: skip
MISPLACED = code(
    "end-misplaced", "error", "an episode ends where the next one begins",
    "correct meta/episode_ends: the scene was reset inside the episode, not at its end",
)  # fmt: skip

_MOST_CHANNELS = 4096
_MOST_BOUNDARY = 1 << 24
_RESTS = 0.5
_FEW = 20


@CHECKS.register("motion")
class Motion(Check):
    """Changes from step to step: their distribution, and the largest of them.

    What a usual change is, is known only at the end; so jumps, wraps and spikes are looked for
    among the 64 largest of each channel, and where there are more, the rest is not told. Rates
    have a limit that is known beforehand: every change is judged.
    """

    def wants(self, array: str) -> bool:
        """States and actions."""
        self._start = True
        return array in ("state", "action")

    def look(self, block: Block) -> None:
        """Looks at a block."""
        x = block.numbers()[:, :_MOST_CHANNELS]  # (n, C)
        if self._start:
            self._begin(x.shape[1])
        x = np.where(np.isfinite(x) & (np.abs(x) < self.limits.max_magnitude), x, np.nan)
        joined = self._row == block.row
        before = self._last if joined else x[:1]
        change = np.abs(np.diff(np.concatenate([before, x]), axis=0))  # (n, C)
        rows = block.row + np.arange(len(x))
        if block.step == 0:
            if joined and block.episode and self._keeps_boundaries:
                self._boundary[block.episode] = change[0].astype(np.float32)
            change, rows = change[1:], rows[1:]
        elif not joined:
            change, rows = change[1:], rows[1:]
        if len(change):
            known = np.nan_to_num(change)
            self._changes.add(known)
            self._still += (change == 0).sum(axis=0)
            self._count += len(change)
            self._largest.add(known, rows)
            self._judge_rate(block, known, int(rows[0] - block.row))
        magnitude = np.nan_to_num(np.abs(x))
        self._magnitudes.add(magnitude)
        self._peaks.add(magnitude, block.row + np.arange(len(x)))
        self._last, self._row = x[-1:], block.row + len(x)

    def _judge_rate(self, block: Block, change: np.ndarray, first: int) -> None:
        """Judges ``change`` (n, C), whose first row is row ``first`` of the block."""
        limits = {"state": self.limits.max_state_rate, "action": self.limits.max_action_rate}
        rate, hertz = limits[block.array], self.survey.control_rate_hz
        if rate is None or hertz is None:
            return
        beyond = change > rate / hertz
        steps = np.flatnonzero(beyond.any(axis=1))
        if len(steps):
            channels = np.flatnonzero(beyond[steps[0]])
            size = change[steps[0], channels[0]]
            self.log.add(
                RATE, f"channel {channels[0]} changes by {size:.4g} in a step, "
                f"{rate / hertz:.4g} are allowed ({len(channels)} channels)",
                array=block.path, episode=block.episode, step=block.step + first + int(steps[0]),
                steps=len(steps),
            )  # fmt: skip

    def _begin(self, channels: int) -> None:
        self._start, self._row, self._last = False, -1, np.zeros((1, channels))
        self._changes, self._magnitudes = MagnitudeHistogram(channels), MagnitudeHistogram(channels)
        self._largest, self._peaks = Largest(channels), Largest(channels)
        self._still, self._count = np.zeros(channels), 0
        self._keeps_boundaries = channels * self.survey.episode_count <= _MOST_BOUNDARY
        self._boundary: dict[int, np.ndarray] = {}

    def finish_array(self, array: str) -> None:
        """Judges the largest changes and magnitudes, 64 of each channel."""
        if self._start or self._count < _FEW:
            return
        usual = self._changes.quantile(0.95)  # (C,)
        if array == "state":
            limit = self.limits.jump_factor * np.maximum(usual, 1e-9)
            limit = np.where(self._still > _RESTS * self._count, np.inf, limit)
            self._judge_jumps(limit)
        else:
            reach = self._magnitudes.quantile(0.95)
            limit = np.where(reach > 0, self.limits.spike_factor * reach, np.inf)
            for row, channels in self._beyond(self._peaks, limit):
                self._tell(SPIKE, array, row, channels, self._peaks, "is")

    def _judge_jumps(self, limit: np.ndarray) -> None:
        turn = 2 * np.pi
        for row, channels in self._beyond(self._largest, limit):
            sizes = [self._size(self._largest, row, channel) for channel in channels]
            if all(abs(size - turn) < 0.2 for size in sizes):
                self._tell(WRAP, "state", row, channels, self._largest, "changes by")
            elif self._resets(row, channels, limit):
                self._tell(MISPLACED, "state", row, channels, self._largest, "changes by")
            else:
                self._tell(JUMP, "state", row, channels, self._largest, "changes by")

    def _resets(self, row: int, channels: list[int], limit: np.ndarray) -> bool:
        """Whether the scene is reset at ``row``, and not at the nearest boundary of episodes."""
        episode, step = self.survey.place(row)
        if episode is None or len(channels) * 2 < len(limit):
            return False
        start, stop = self.survey.bounds(episode)
        nearest = episode if step < stop - row else episode + 1
        if nearest not in self._boundary:
            nearest = episode + 1 if nearest == episode else episode
        across = self._boundary.get(nearest)
        # A spike returns; after a reset the motion goes on from there.
        returns = self._size(self._largest, row + 1, channels[0]) > limit[channels[0]]
        return across is not None and bool((across <= limit).all()) and not returns

    def _beyond(self, largest: Largest, limit: np.ndarray) -> list[tuple[int, list[int]]]:
        """Rows with channels beyond ``limit``, in order."""
        found: dict[int, list[int]] = {}
        for at, channel in zip(*np.nonzero(largest.values > limit), strict=True):
            found.setdefault(int(largest.rows[at, channel]), []).append(int(channel))
        return [(row, sorted(found[row])) for row in sorted(found)]

    def _size(self, largest: Largest, row: int, channel: int) -> float:
        at = np.flatnonzero(largest.rows[:, channel] == row)
        return float(largest.values[at[0], channel]) if len(at) else 0.0

    def _tell(
        self, kind: Code, array: str, row: int, channels: list[int], largest: Largest, verb: str
    ) -> None:
        episode, step = self.survey.place(row)
        usual = (self._magnitudes if largest is self._peaks else self._changes).quantile(0.95)
        self.log.add(
            kind, f"channel {channels[0]} {verb} {self._size(largest, row, channels[0]):.4g}, "
            f"95 % stay within {usual[channels[0]]:.3g} ({len(channels)} channels)",
            array=f"data/{array}", episode=episode, step=step,
        )  # fmt: skip
