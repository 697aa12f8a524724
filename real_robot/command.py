"""`Command`: what a tick decides, and all that may reach the robot."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from real_robot.causes import Cause


class Kind(StrEnum):
    """What is to be done with a command."""

    SILENT = "silent"
    MOVE = "move"
    HOLD = "hold"


@dataclass(frozen=True, eq=False)
class Command:
    """What a tick decides. Nothing but a move or a hold is sent.

    Attributes:
        kind: silent, move or hold.
        targets: (K, D) positions (rad or m) or velocities (rad/s or m/s) of the commanded axes;
            (0, D) where silent.
        times_s: (K,), when each is due, from now.
        gripper: (K,), scaled; None where there is none, or on a hold.
        cause: why it is no move; None for a move. detail: what was met, as text.
        preview: (K, D), what a dry run would have sent.
    """

    kind: Kind
    targets: NDArray[np.float64]
    times_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    gripper: NDArray[np.float64] | None = None
    cause: Cause | None = None
    detail: str = ""
    preview: NDArray[np.float64] | None = None

    @property
    def is_sent(self) -> bool:
        """Whether it goes to the robot."""
        return self.kind is not Kind.SILENT
