"""What executed actions do to the robot: standing still, and how smooth the motion is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mfpolicy.errors import ConfigError
from mfpolicy.types import ACTION_KINDS, TaskSpec


def action_kinds(task: TaskSpec) -> np.ndarray:
    """(A,) the kind of each action dimension; positions where the task does not say.

    Raises:
        ConfigError: the task names another number of dimensions, or a kind that there is not.
    """
    kinds = task.action_kinds or ("position",) * task.action_dim
    if len(kinds) != task.action_dim or not set(kinds) <= set(ACTION_KINDS):
        raise ConfigError(
            f"action_kinds must name each of {task.action_dim} action dimensions as one of "
            + ", ".join(ACTION_KINDS),
            received=list(kinds),
        )
    return np.array(kinds)


def standing_still(last: np.ndarray | None, kinds: np.ndarray) -> np.ndarray:
    """The action (A,) that leaves the robot where it is.

    No displacement, and the position and effort that were commanded last; zeros before the first.

    Example:
        >>> standing_still(np.array([0.5, 0.5]), np.array(["displacement", "effort"])).tolist()
        [0.0, 0.5]
    """
    if last is None:
        return np.zeros(len(kinds), np.float32)
    return np.where(kinds == "displacement", 0, last).astype(np.float32)


def rms_jerk_per_s3(
    actions: Sequence[np.ndarray], kinds: np.ndarray, rate_hz: float
) -> float | None:
    """Root mean square of the commanded motion's jerk, in action units per s³.

    The commanded position p_k is the action itself, or the sum of the displacements up to it. Its
    jerk is the third difference times rate³, so for displacements the second difference of the
    actions. Squares are summed over position and displacement dimensions and averaged over ticks;
    effort is no motion. In Meta-World, one action unit is 1 cm.

    Args:
        actions: (A,) of every control tick, as the environment took them, holds included.
        kinds: (A,), of each dimension.
        rate_hz: control ticks per second.

    Returns:
        None for fewer than four ticks, or where nothing moves by position or displacement.

    Example:
        >>> ramp = [np.array([0.1 * k]) for k in range(9)]
        >>> round(rms_jerk_per_s3(ramp, np.array(["position"]), 10.0), 6)
        0.0
    """
    moving = np.isin(kinds, ("position", "displacement"))
    if len(actions) < 4 or not moving.any():
        return None
    taken = np.asarray(actions, dtype=np.float64)
    third = np.diff(taken[:, kinds == "position"], n=3, axis=0)  # (T − 3, ·)
    second = np.diff(taken[:, kinds == "displacement"], n=2, axis=0)[1:]  # (T − 3, ·)
    squares = np.square(third).sum(axis=1) + np.square(second).sum(axis=1)
    return float(np.sqrt(squares.mean()) * rate_hz**3)
