"""The Sawyer of Meta-World: a Cartesian controller of the hand, and a gripper.

Meta-World drags the hand by a weld to a point, its reference, which moves by 0.01 m at most along
each axis and control step. Its actions move the reference; a controller commands the hand, starting
from where that is measured. An episode begins while the hand still swings, 5 mm from its reference:
this offset is added to every command of the episode, so that commands move the reference as the
actions do from which they came. The hand comes to rest 5 mm from where it was commanded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from envs.metaworld import MetaWorldSimulation
from envs.robot.body import Interface, Measured, Vector, joint_values
from mfpolicy.types import TaskSpec

_STEP_M = 0.01
_SLACK = 4  # of the velocity limit: ticks come at irregular times, and actions are clipped before
_ARM = tuple(f"right_j{number}" for number in range(7))
_FINGERS = ("r_close", "l_close")
_SIDES = ("right_finger", "left_finger")
_AXES = ("x", "y", "z")


class Sawyer:
    """The robot of a Meta-World task.

    The state of a policy has the places of both fingers, which a real arm computes from its joints:
    here the JointState tells them beside the joints, as ``right_finger_x`` and so on.

    Args:
        simulation: of the task.
        task: its description.
    """

    def __init__(self, simulation: MetaWorldSimulation, task: TaskSpec) -> None:
        self._simulation = simulation
        self._low, self._high = simulation.reference_box
        self._fingers = tuple(f"{side}_{axis}" for side in _SIDES for axis in _AXES)
        self.rest()
        speed = _STEP_M * task.control_rate_hz * _SLACK
        self.interface = Interface(
            action_kind="tool_displacement",
            joints=(),
            state=(
                *(f"tool/{axis}" for axis in _AXES),
                *(f"position/{name}" for name in self._fingers),
            ),
            action_scale=(_STEP_M, _STEP_M, _STEP_M, 1.0),
            action_offset=(0.0, 0.0, 0.0, 0.0),
            gripper_column=3,
            lower=tuple((self._low - self._offset).tolist()),
            upper=tuple((self._high - self._offset).tolist()),
            velocity=(speed,) * 3,
            # where the hand presses against something its reference goes on, as it does in training
            jump=tuple((self._high - self._low).tolist()),
        )

    def rest(self) -> None:
        """Holds the hand where it is, the gripper without force."""
        self._offset = self._reference() - self._hand()
        self._target, self._gripper = self._reference(), 0.0

    def command(self, target: Sequence[float]) -> None:
        """Takes a position (3,) of the hand, world frame, metres."""
        self._target = np.asarray(target, np.float64) + self._offset

    def grip(self, value: float) -> None:
        """Takes the gripper's effort, -1 (open) to 1 (close)."""
        self._gripper = float(value)

    def action(self) -> NDArray[np.float32]:
        """(4,): a step of the reference towards the target, and the gripper's effort."""
        target = np.clip(self._target, self._low, self._high)
        step = (target - self._reference()) / _STEP_M
        return np.clip([*step, self._gripper], -1, 1).astype(np.float32)

    def measured(self) -> Measured:
        """Joints, fingers and the hand."""
        model, data = self._simulation.model, self._simulation.data
        position, velocity = joint_values(model, data, (*_ARM, *_FINGERS))
        fingers = self._simulation.agent_pos()[3:].astype(np.float64)
        return Measured(
            names=(*_ARM, *_FINGERS, *self._fingers),
            position=np.concatenate([position, fingers]),
            velocity=np.concatenate([velocity, np.zeros_like(fingers)]),
            tool=self._hand(),
            speed=float(np.abs(velocity[: len(_ARM)]).max()),
        )

    def _hand(self) -> Vector:
        return np.array(self._simulation.data.body("hand").xpos, np.float64)

    def _reference(self) -> Vector:
        return np.array(self._simulation.data.mocap_pos[0], np.float64)
