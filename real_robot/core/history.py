"""`History`: the observed frames that the policy is given, one a tick."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray


class History:
    """The last To frames, of ticks without a gap, so at the trained rate because ticks are.

    Args:
        n_obs_steps: To.

    Example:
        >>> history = History(2)
        >>> history.add(np.zeros((16, 3)), np.zeros(4), stamp_s=1.0, tick=1)
        >>> history.observation()["point_cloud"].shape  # the only frame stands twice
        (1, 2, 16, 3)
    """

    def __init__(self, n_obs_steps: int) -> None:
        self._frames: deque[tuple[NDArray, NDArray]] = deque(maxlen=n_obs_steps)
        self.forget()

    def forget(self) -> None:
        """Nothing was observed."""
        self._frames.clear()
        self.stamp_s = float("nan")
        self._tick = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, points: NDArray, state: NDArray, *, stamp_s: float, tick: int) -> None:
        """Adds a frame: points (P, C) and state (S,), observed at ``stamp_s``.

        Frames of before the last tick are forgotten, where ``tick`` is not the one after theirs:
        the policy was trained on frames that are a tick apart.
        """
        if tick != self._tick + 1:
            self._frames.clear()
        self._frames.append((points, state))
        self.stamp_s, self._tick = stamp_s, tick

    def observation(self) -> dict[str, NDArray[np.float32]]:
        """point_cloud (1, To, P, C) and agent_pos (1, To, S); missing frames repeat the first."""
        missing = (self._frames.maxlen or 1) - len(self._frames)
        frames = [self._frames[0]] * missing + list(self._frames)
        clouds, states = (np.stack(part)[None] for part in zip(*frames, strict=True))
        return {
            "point_cloud": clouds.astype(np.float32, copy=False),
            "agent_pos": states.astype(np.float32, copy=False),
        }
