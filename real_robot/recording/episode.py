"""`Steps`: an episode under way, one row a step, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from real_robot.causes import Cause
from real_robot.core.observing import Frame

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Step:
    """What was observed at a step, before its action is known.

    Attributes:
        frame: points and state. time_s: of the step. base: (D,), where its displacement starts.
    """

    frame: Frame
    time_s: float
    base: Vector


class Steps:
    """The finished steps of an episode, and what was wrong with some of them.

    Attributes:
        faults: steps by cause. first_fault_s: since the beginning; None without any.
    """

    def __init__(self, begun_s: float) -> None:
        self._begun_s = begun_s
        self._steps: list[Step] = []
        self._actions: list[NDArray[np.float32]] = []
        self.faults: Counter[Cause] = Counter()
        self.first_fault_s: float | None = None
        self._beyond: dict[str, tuple[int, float]] = {}  # by column: steps, farthest value

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, step: Step, action: Vector, beyond: Mapping[str, float]) -> None:
        """Adds a step with its action (A,), and the columns of it that lie beyond their limits."""
        self._steps.append(step)
        self._actions.append(action.astype(np.float32))
        for name, value in beyond.items():
            count, farthest = self._beyond.get(name, (0, 0.0))
            self._beyond[name] = count + 1, max(farthest, value, key=abs)

    def fault(self, cause: Cause, now_s: float) -> None:
        """Something was wrong at a step."""
        self.faults[cause] += 1
        if self.first_fault_s is None:
            self.first_fault_s = now_s - self._begun_s

    def arrays(self) -> dict[str, NDArray]:
        """The steps as arrays by name.

        Returns:
            ``points`` (L, P, C), ``state`` (L, S), ``action`` (L, A), ``timestamp_ns`` (L,) of the
            steps, and ``cloud_age_s`` (L,), how long before its step a cloud was stamped.
        """
        frames = [step.frame for step in self._steps]
        return {
            "points": np.stack([frame.points for frame in frames]),
            "state": np.stack([frame.state for frame in frames]),
            "action": np.stack(self._actions),
            "timestamp_ns": np.array([round(step.time_s * 1e9) for step in self._steps], np.int64),
            "cloud_age_s": np.array(
                [step.time_s - step.frame.stamp_s for step in self._steps], np.float32
            ),
        }

    def told(self) -> str:
        """The faults as text; empty without any."""
        if not self.faults:
            return ""
        causes = ", ".join(
            f"{cause} at {count} steps" + (self._columns() if cause is Cause.ACTION_LIMITS else "")
            for cause, count in self.faults.items()
        )
        return f"{causes}, first after {self.first_fault_s:.1f} s"

    def _columns(self) -> str:
        """The columns of the actions that lie beyond their limits, and how far."""
        told = (f"{name} at {n}, as far as {x:.3g}" for name, (n, x) in self._beyond.items())
        return f" ({'; '.join(told)})"
