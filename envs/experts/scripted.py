"""Meta-World's scripted policies as an expert with bounded actions."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray


class ScriptedExpert:
    """The hand-written policy that Meta-World ships for a task.

    Args:
        task: name without suite and version, for example ``drawer-open``.
    """

    def __init__(self, task: str) -> None:
        from metaworld.policies import ENV_POLICY_MAP

        self._policy = ENV_POLICY_MAP[f"{task}-v3"]()

    def action(self, full_state: NDArray[np.float64]) -> NDArray[np.float32]:
        """(4,) action in [-1, 1] for Meta-World's observation (39,), goal included."""
        with warnings.catch_warnings():
            # The scripts ask for more than 1 on purpose, to move at full speed.
            warnings.filterwarnings("ignore", message=r"Constant\(s\) may be too high")
            action = self._policy.get_action(full_state)
        return np.clip(action, -1.0, 1.0).astype(np.float32)
