"""Episodes, frames and images that were recorded once and stored again."""

from __future__ import annotations

import hashlib

import numpy as np

from mfpolicy.data.checking.base import CHECKS, Block, Check
from mfpolicy.data.checking.findings import Code, FindingLog, code
from mfpolicy.data.checking.limits import CheckLimits
from mfpolicy.data.checking.survey import Survey

EPISODE = code(
    "episode-repeated", "error", "no two episodes have the same states and actions",
    "leave one of them out: it would count twice, and could be held out and learnt at once",
)  # fmt: skip
FRAMES = code(
    "frames-repeated", "warning", "steps differ from the one before",
    "look whether the recording stalled; leave the steps or the episode out",
)  # fmt: skip
LOOPED = code(
    "frames-copied", "warning", "no step of an episode comes again later",
    "look whether a part was pasted or written twice",
)  # fmt: skip
STALE = code(
    "image-stale", "warning", "clouds and images change while the robot moves",
    "look whether the camera stalled; raise max_repeats if it is that slow",
)  # fmt: skip
SHORT = code(
    "episode-short", "warning", "an episode has enough steps to learn from",
    "leave the episode out, or lower min_steps",
)  # fmt: skip

_MOST_ROWS = 1 << 24
_WORDS = 1 << 16


@CHECKS.register("duplicates")
class Duplicates(Check):
    """Equal rows, found by a 64-bit hash of each: a few numbers a step are all that is kept."""

    def __init__(self, survey: Survey, limits: CheckLimits, log: FindingLog) -> None:
        super().__init__(survey, limits, log)
        self._hashes: dict[str, np.ndarray] = {}  # 0 where nothing could be read
        self._starts = np.zeros(survey.rows if survey.rows <= _MOST_ROWS else 0, bool)
        if len(self._starts) and len(survey.ends):
            self._starts[[0, *survey.ends[:-1]]] = True

    def wants(self, array: str) -> bool:
        """What training reads, and images."""
        known = array in ("state", "action", "point_cloud")
        if self.survey.rows > _MOST_ROWS or not (known or self.is_image(array)):
            return False
        self._hashes[array] = np.zeros(self.survey.rows, np.uint64)
        return True

    def look(self, block: Block) -> None:
        """Looks at a block."""
        rows = slice(block.row, block.row + len(block.values))
        self._hashes[block.array][rows] = _hash_rows(block.values)

    def finish_array(self, array: str) -> None:
        """Tells of frames that stay the same although the state changes."""
        if array in ("state", "action"):
            return
        hashes, state = self._hashes[array], self._hashes.get("state")
        if state is not None:
            moves = (state[1:] != state[:-1]) & (state[1:] != 0)
            self._tell_runs(STALE, array, self._repeats(hashes) & np.concatenate([[False], moves]))
        if array != "point_cloud":
            del self._hashes[array]

    def finish(self) -> None:
        """Compares frames, and episodes, as wholes."""
        for episode in range(self.survey.episode_count):
            start, stop = self.survey.bounds(episode)
            if stop - start < self.limits.min_steps:
                self.log.add(SHORT, f"{stop - start} steps", episode=episode, steps=stop - start)
        if not {"state", "action"} <= set(self._hashes):
            return
        frame = np.zeros(self.survey.rows, np.uint64)
        readable = np.ones(self.survey.rows, bool)
        with np.errstate(over="ignore"):
            for hashes in self._hashes.values():
                frame = frame * np.uint64(0x9E3779B97F4A7C15) + hashes
                readable &= hashes != 0
        frame[~readable] = 0
        same = self._repeats(frame)
        self._tell_runs(FRAMES, None, same)
        self._compare_episodes(frame, same)

    def _repeats(self, hashes: np.ndarray) -> np.ndarray:
        """Whether each row equals the one before it in its episode, (N,)."""
        same = np.zeros(len(hashes), bool)
        same[1:] = (hashes[1:] == hashes[:-1]) & (hashes[1:] != 0)
        return same & ~self._starts

    def _tell_runs(self, kind: Code, array: str | None, same: np.ndarray) -> None:
        """Tells of runs of equal rows that are longer than the limit."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
        for first, stop in edges.reshape(-1, 2).tolist():
            if stop - first > self.limits.max_repeats:
                episode, step = self.survey.place(first)
                self.log.add(
                    kind, f"{stop - first + 1} equal steps in a row",
                    array=None if array is None else f"data/{array}",
                    episode=episode, step=step, steps=stop - first,
                )  # fmt: skip

    def _compare_episodes(self, frame: np.ndarray, same: np.ndarray) -> None:
        seen: dict[bytes, int] = {}
        for episode in range(self.survey.episode_count):
            start, stop = self.survey.bounds(episode)
            pairs = [self._hashes[name][start:stop] for name in ("state", "action")]
            if all(part.all() for part in pairs) and stop - start > 1:
                digest = hashlib.blake2b(b"".join(p.tobytes() for p in pairs), digest_size=16)
                first = seen.setdefault(digest.digest(), episode)
                if first != episode:
                    self.log.add(
                        EPISODE, f"states and actions of episode {first}", episode=episode,
                        step=0, steps=stop - start,
                    )  # fmt: skip
            self._look_for_copies(episode, frame[start:stop], same[start:stop])

    def _look_for_copies(self, episode: int, frame: np.ndarray, same: np.ndarray) -> None:
        """Tells of steps that come again later in the episode; runs are told elsewhere."""
        rows = np.flatnonzero(~same & (frame != 0))
        _, first, inverse = np.unique(frame[rows], return_index=True, return_inverse=True)
        again = np.flatnonzero(first[inverse] != np.arange(len(rows)))
        if len(again) > self.limits.max_repeats:
            at = int(again[0])
            self.log.add(
                LOOPED, f"equals step {rows[first[inverse[at]]]}", episode=episode,
                step=int(rows[at]), steps=len(again),
            )  # fmt: skip


def _hash_rows(values: np.ndarray) -> np.ndarray:
    """A 64-bit hash of each row, (n,), never 0; a random linear form of its 32-bit words."""
    flat = np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)
    padding = -flat.shape[1] % 4
    if padding:
        flat = np.pad(flat, ((0, 0), (0, padding)))
    words = np.ascontiguousarray(flat).view(np.uint32)
    total = np.zeros(len(words), np.uint64)
    for first in range(0, words.shape[1], _WORDS):
        part = words[:, first : first + _WORDS].astype(np.uint64)
        weights = np.random.default_rng(first).integers(
            0, 2**64 - 1, part.shape[1], np.uint64, endpoint=True
        )
        with np.errstate(over="ignore"):
            total += (part + np.uint64(1)) @ (weights | np.uint64(1))
    return np.maximum(total, 1)
