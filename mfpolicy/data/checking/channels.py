"""Channels of states and actions that stand still or run into a limit."""

from __future__ import annotations

import numpy as np

from mfpolicy.data.checking.base import CHECKS, Block, Check
from mfpolicy.data.checking.findings import Code, code

STATE_CONSTANT = code(
    "state-constant", "warning", "every channel of the state varies over the dataset",
    "look whether the sensor was read; a channel that means nothing is better left out",
)  # fmt: skip
ACTION_CONSTANT = code(
    "action-constant", "note", "channels of the action vary over the dataset",
    "nothing, if the task does not need the channel",
)  # fmt: skip
ACTIONS_STILL = code(
    "action-all-constant", "error", "some channel of the action varies over the dataset",
    "look whether commands were recorded at all",
)  # fmt: skip
FROZEN = code(
    "channel-frozen", "warning", "a channel that moves in other episodes moves in each",
    "look whether the sensor failed in this episode; leave it out if so",
)  # fmt: skip
STATE_SATURATED = code(
    "state-saturated", "warning", "a channel of the state seldom rests at its extreme",
    "look whether the sensor's range was exceeded",
)  # fmt: skip
ACTION_SATURATED = code(
    "action-saturated", "warning", "actions do not lie at their limits nearly always",
    "look whether commands were clipped to too small a range",
)  # fmt: skip

_MOST_CHANNELS = 4096
_STATE_SHARE, _ACTION_SHARE = 0.25, 0.9
_MOVED = 0.25
_LONG = 10
_AGAIN = 3


@CHECKS.register("channels")
class Channels(Check):
    """Constant, frozen and saturated channels, from extremes that are counted on the way."""

    def wants(self, array: str) -> bool:
        """States and actions."""
        self._reset()
        return array in ("state", "action")

    def _reset(self) -> None:
        self._steps = self._changes = 0
        self._low = self._high = self._at_low = self._at_high = self._moves = np.zeros(0)
        self._between = np.zeros(0)
        self._episode_low = self._episode_high = np.zeros(0)
        self._length = 0
        self._last: np.ndarray | None = None
        self._episode: int | None = None
        self._frozen: list[tuple[int, np.ndarray, np.ndarray]] = []
        self._moving = np.zeros(0, bool)

    def look(self, block: Block) -> None:
        """Looks at a block."""
        x = block.numbers()[:, :_MOST_CHANNELS]  # (n, C)
        x = np.where(np.isfinite(x), x, 0.0)
        low, high = x.min(axis=0), x.max(axis=0)
        if self._steps == 0:
            self._low, self._high = low, high
            self._at_low, self._at_high = np.zeros(len(low)), np.zeros(len(low))
            self._moves, self._moving = np.zeros(len(low)), np.zeros(len(low), bool)
        self._at_low = _count(self._at_low, self._low, low, x)
        self._at_high = _count(self._at_high, -self._high, -high, -x)
        self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)
        self._steps += len(x)
        self._look_in_episode(block, x, low, high)

    def _look_in_episode(
        self, block: Block, x: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> None:
        if block.episode != self._episode:  # the end of the one before may lie in a damaged chunk
            self._episode = block.episode
            self._episode_low, self._episode_high, self._length = low, high, 0
            self._last = None
        before = x[:1] if self._last is None else self._last
        changed = np.diff(np.concatenate([before, x]), axis=0) != 0
        self._moves = self._moves + changed.sum(axis=0)
        self._last, self._length = x[-1:], self._length + len(x)
        self._episode_low = np.minimum(self._episode_low, low)
        self._episode_high = np.maximum(self._episode_high, high)
        if block.ends:
            still = self._episode_low == self._episode_high
            self._moving |= ~still
            if still.any() and self._length >= _LONG and len(self._frozen) < 1000:
                self._frozen.append((block.episode, still, self._episode_low))

    def finish_array(self, array: str) -> None:
        """Judges the channels."""
        if self._steps < _LONG:
            return
        constant = self._low == self._high
        if array == "action" and constant.all():
            self.log.add(ACTIONS_STILL, f"{constant.sum()} channels", array="data/action")
        else:
            self._tell(STATE_CONSTANT if array == "state" else ACTION_CONSTANT, array, constant)
        low, high = self._at_low / self._steps, self._at_high / self._steps
        if array == "action":
            self._tell(ACTION_SATURATED, array, ~constant & self._clipped(low, high))
            return
        often = self._moves > _MOVED * self._steps
        saturated = often & self._rests_at_extreme()
        self._tell(STATE_SATURATED, array, saturated)
        for episode, still, _ in self._frozen:
            self._tell(FROZEN, array, still & self._moving & ~saturated, episode)

    def _rests_at_extreme(self) -> np.ndarray:
        """Channels often at one extreme, and not only in episodes that are frozen there."""
        found = np.zeros(len(self._low), bool)
        for extreme, count in ((self._low, self._at_low), (self._high, self._at_high)):
            outside = count.copy()
            for episode, still, value in self._frozen:
                length = int(np.diff(self.survey.bounds(episode))[0])
                outside -= np.where(still & (value == extreme), length, 0)
            found |= (count > _STATE_SHARE * self._steps) & (outside >= _AGAIN)
        return found

    def _clipped(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Channels at one of two limits nearly always, though not only there, as switches are.

        The limits -1 and 1 are those of a normalised action space: experts may well run into them.
        """
        share = low + high
        natural = (self._low == -1) & (self._high == 1)
        return (share > _ACTION_SHARE) & (share < 1) & (np.minimum(low, high) > 0.02) & ~natural

    def _tell(self, kind: Code, array: str, where: np.ndarray, episode: int | None = None) -> None:
        channels = np.flatnonzero(where).tolist()
        if channels:
            what = f"channels {channels[:10]}, the first at {self._low[channels[0]]:g} to "
            what += f"{self._high[channels[0]]:g} over the dataset"
            steps = 1 if episode is None else int(np.diff(self.survey.bounds(episode))[0])
            self.log.add(
                kind, what, array=f"data/{array}", episode=episode,
                step=None if episode is None else 0, steps=steps,
            )  # fmt: skip


def _count(known: np.ndarray, extreme: np.ndarray, low: np.ndarray, x: np.ndarray) -> np.ndarray:
    """How often the smallest value occurs, so far ``known`` times as ``extreme``."""
    fresh = (x == low).sum(axis=0)
    return np.where(low < extreme, fresh, np.where(low == extreme, known + fresh, known))
