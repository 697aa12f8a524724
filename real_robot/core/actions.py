"""`ActionMap`: the policy's actions → positions or velocities of the robot's axes, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mfpolicy.errors import ConfigError
from real_robot.parameters import RobotParameters

Vector = NDArray[np.float64]
_ROUNDING = 1e-6


class ActionMap:
    """Clips and scales actions, sets the gripper's column apart, and sums displacements up.

    Args:
        parameters: what the columns mean.
        action_dim: A.

    Raises:
        ConfigError: the policy has another number of columns.

    Example:
        >>> limits = {name: [1.0] for name in ("upper", "velocity", "acceleration", "jump")}
        >>> parameters = RobotParameters(joints=["a"], action_kind="joint_displacement",
        ...                              cloud_frame="camera", lower=[-1], **limits)
        >>> ActionMap(parameters, 1).targets(np.full((3, 1), 0.5), base=np.ones(1))[0].ravel()
        array([1.5, 2. , 2.5])
        >>> ActionMap(parameters, 1).action(np.array([1.5]), None, base=np.ones(1))
        array([0.5])
    """

    def __init__(self, parameters: RobotParameters, action_dim: int) -> None:
        axes, gripper = len(parameters.axes), parameters.gripper_column
        wanted = axes + (gripper >= 0)
        if action_dim != wanted or gripper >= action_dim:
            raise ConfigError(
                f"an action must have {wanted} columns, {', '.join(parameters.axes)}"
                + (" and the gripper" if gripper >= 0 else ""),
                received=f"{action_dim} of the policy, gripper_column={gripper}",
                remedy="see joints, action_kind and gripper_column",
            )
        self._low = _columns("action_lower", parameters.action_lower, -np.inf, action_dim)
        self._high = _columns("action_upper", parameters.action_upper, np.inf, action_dim)
        if (self._low > self._high).any():
            raise ConfigError(
                "action_lower must not lie above action_upper",
                received=(parameters.action_lower, parameters.action_upper),
            )
        self._scale = _columns("action_scale", parameters.action_scale, 1.0, action_dim)
        self._offset = _columns("action_offset", parameters.action_offset, 0.0, action_dim)
        self._gripper = gripper
        self._names = list(parameters.axes)
        if gripper >= 0:
            self._names.insert(gripper, "gripper")
        self._columns = [column for column in range(action_dim) if column != gripper]
        self._sums = parameters.action_kind.endswith("_displacement")

    def targets(self, actions: NDArray, base: Vector) -> tuple[Vector, Vector | None]:
        """Targets (K, D) and gripper commands (K,), or None, of actions (K, A).

        Args:
            actions: of the policy.
            base: (D,), where displacements start from.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # NaN is refused where limits are kept
            clipped = np.clip(np.asarray(actions, np.float64), self._low, self._high)
            values = clipped * self._scale + self._offset
            moves = values[:, self._columns]
            targets = base + np.cumsum(moves, axis=0) if self._sums else moves
        return targets, values[:, self._gripper] if self._gripper >= 0 else None

    def action(self, target: Vector, gripper: float | None, base: Vector) -> Vector:
        """The action (A,) of a target (D,), and the gripper's command: `targets`, inverted.

        Args:
            target: that is commanded.
            gripper: its command; None where there is none.
            base: (D,), where a displacement starts from.
        """
        values = np.zeros(len(self._scale))
        values[self._columns] = target - base if self._sums else target
        if gripper is not None:
            values[self._gripper] = gripper
        return (values - self._offset) / self._scale

    def beyond(self, action: Vector) -> dict[str, float]:
        """The columns of an action (A,) that `targets` would clip: name of the axis, and value."""
        slack = _ROUNDING * np.maximum(1.0, np.abs(action))
        is_beyond = (action < self._low - slack) | (action > self._high + slack)
        return {self._names[column]: float(action[column]) for column in np.flatnonzero(is_beyond)}


def _columns(name: str, given: tuple[float, ...], default: float, count: int) -> Vector:
    if given and len(given) != count:
        raise ConfigError(
            f"{name} must have a number for each of the {count} columns of an action",
            received=given,
        )
    return np.array(given or [default] * count)
