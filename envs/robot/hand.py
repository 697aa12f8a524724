"""The Adroit hand, with as much of its arm as the task has: a position controller of its joints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from envs.robot.body import Interface, Measured, joint_values
from envs.simulation import Simulation
from mfpolicy.types import TaskSpec


class AdroitHand:
    """The robot of an Adroit task: 24 to 30 joints, each with a position servo.

    An action is the desired position of each joint, -1 to 1 of the servo's range.

    Args:
        simulation: of the task.
        task: its description.
    """

    def __init__(self, simulation: Simulation, task: TaskSpec) -> None:
        self._simulation = simulation
        model = simulation.model
        servos = range(model.nu)
        joints = tuple(model.joint(int(model.actuator_trnid[n, 0])).name for n in servos)
        low, high = np.array(model.actuator_ctrlrange, np.float64).T
        self._middle, self._half = (low + high) / 2, (high - low) / 2
        self._joints = joints
        self._target = self._middle
        whole = 4 * self._half  # from one end to the other, from a joint that hangs over its end
        self.interface = Interface(
            action_kind="joint_position",
            joints=joints,
            state=tuple(f"position/{name}" for name in joints[-task.state_dim :]),
            action_scale=tuple(self._half.tolist()),
            action_offset=tuple(self._middle.tolist()),
            gripper_column=-1,
            lower=tuple(low.tolist()),
            upper=tuple(high.tolist()),
            velocity=tuple((2 * whole * task.control_rate_hz).tolist()),
            jump=tuple(whole.tolist()),
        )
        self.rest()

    def rest(self) -> None:
        """Holds the joints where they are."""
        self._target = joint_values(self._simulation.model, self._simulation.data, self._joints)[0]

    def command(self, target: Sequence[float]) -> None:
        """Takes positions (D,) of the joints, rad and m."""
        self._target = np.asarray(target, np.float64)

    def grip(self, value: float) -> None:
        """The fingers are joints."""

    def action(self) -> NDArray[np.float32]:
        """(A,): the targets within the servos' ranges."""
        return np.clip((self._target - self._middle) / self._half, -1, 1).astype(np.float32)

    def measured(self) -> Measured:
        """The joints."""
        model, data = self._simulation.model, self._simulation.data
        position, velocity = joint_values(model, data, self._joints)
        return Measured(self._joints, position, velocity, None, float(np.abs(velocity).max()))
