"""`Body`: the robot of a suite, as what is measured of it and what it can be commanded to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Interface:
    """What a controller must be told of a robot; names as in ``real_robot.parameters``.

    Lengths are metres, angles radians, D the commanded axes, A the action's columns.

    Attributes:
        action_kind: ``tool_displacement`` or ``joint_position``.
        joints: names of the commanded joints; empty for a tool.
        state: the numbers of the policy's state, in order.
        action_scale, action_offset: (A,) from actions to commands.
        gripper_column: of the action, -1 without one.
        lower, upper: (D,) of commanded positions.
        velocity: (D,) no less than what a control step can take; the robot keeps its own limit.
        jump: (D,) that a target may lie from where the robot is measured.
    """

    action_kind: str
    joints: tuple[str, ...]
    state: tuple[str, ...]
    action_scale: tuple[float, ...]
    action_offset: tuple[float, ...]
    gripper_column: int
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    velocity: tuple[float, ...]
    jump: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Measured:
    """What the sensors of a robot say.

    Attributes:
        names: of the joints. position, velocity: of each, in that order.
        tool: (3,) position of the tool, world frame, metres; None where none is told.
        speed: the largest of what moves, m/s or rad/s.
    """

    names: tuple[str, ...]
    position: Vector
    velocity: Vector
    tool: Vector | None
    speed: float


class Body(Protocol):
    """The robot of one task.

    Attributes:
        interface: what a controller must be told.
    """

    interface: Interface

    def rest(self) -> None:
        """Forgets every command: a new episode begins."""
        ...

    def command(self, target: Sequence[float]) -> None:
        """Takes a target (D,), which is kept until the next."""
        ...

    def grip(self, value: float) -> None:
        """Takes a command of the gripper; nothing where there is none."""
        ...

    def action(self) -> NDArray[np.float32]:
        """(A,) in [-1, 1]: the control step that leads towards what was commanded."""
        ...

    def measured(self) -> Measured:
        """The sensors now."""
        ...


def joint_values(model: Any, data: Any, names: Sequence[str]) -> tuple[Vector, Vector]:
    """Position and velocity of joints of one degree of freedom, by name."""
    position = [float(data.qpos[model.jnt_qposadr[model.joint(name).id]]) for name in names]
    velocity = [float(data.qvel[model.jnt_dofadr[model.joint(name).id]]) for name in names]
    return np.array(position), np.array(velocity)
