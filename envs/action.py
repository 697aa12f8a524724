"""What an environment takes for an action."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfpolicy.errors import ActionError
from mfpolicy.types import TaskSpec

_ROUNDING = 1e-6  # float32 arithmetic may leave the action space by this much


def checked_action(action: ArrayLike, task: TaskSpec) -> NDArray[np.float32]:
    """(A,) float32, ``action`` within [-1, 1].

    Raises:
        ActionError: it has the wrong shape for ``task``, is not finite, or leaves the space.
    """
    try:
        values = np.asarray(action, dtype=np.float32)
    except (TypeError, ValueError):
        raise ActionError("an action must be an array of numbers", received=action) from None
    if values.shape != (task.action_dim,):
        raise ActionError(
            f"an action of {task.name} must have the shape ({task.action_dim},)",
            received=values.shape,
        )
    if not (np.abs(values) <= 1 + _ROUNDING).all():  # also false for NaN
        raise ActionError(
            "every entry of an action must lie in [-1, 1]",
            received=values.tolist(),
            remedy="clip the action to env.action_space",
        )
    return np.clip(values, -1.0, 1.0)
