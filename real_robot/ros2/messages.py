"""Commands as ROS messages, and stamps as seconds."""

# pyright: reportMissingImports=false

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration, Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from real_robot.command import Command
from real_robot.node_settings import MESSAGE_TYPES
from real_robot.parameters import RobotParameters
from real_robot.status import Level


def type_named(kind: str) -> Any:
    """The class of a kind of ``MESSAGE_TYPES``."""
    package, _, name = MESSAGE_TYPES[kind].partition("/msg/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


def seconds(stamp: Any) -> float:
    """A stamp in seconds."""
    return stamp.sec + stamp.nanosec * 1e-9


def joint_trajectory(command: Command, parameters: RobotParameters) -> JointTrajectory:
    """For joint_trajectory_controller: it starts at once, each point a period after the one before.

    A message takes the place of the one before. There are positions alone: velocities that do not
    come from the robot's own planner make the controller overshoot.
    """
    message = JointTrajectory(joint_names=list(parameters.axes))
    for target, time_s in zip(command.targets, command.times_s, strict=True):
        whole, rest = divmod(round(time_s * 1e9), 10**9)
        due = Duration(sec=int(whole), nanosec=int(rest))
        message.points.append(JointTrajectoryPoint(positions=target.tolist(), time_from_start=due))
    return message


def encoded(
    command: Command, kind: str, parameters: RobotParameters, *, frame: str, stamp: Time
) -> Any:
    """A command as a message of a kind of ``COMMAND_TYPES``.

    Args:
        command: a move or a hold.
        kind: name of the type.
        parameters: names of the axes, orientation of the tool.
        frame: of poses and twists.
        stamp: of now.
    """
    if kind == "joint_trajectory":
        return joint_trajectory(command, parameters)
    first = command.targets[0].tolist()
    if kind == "float64_multi_array":
        return Float64MultiArray(data=first)
    message = type_named(kind)()
    message.header.frame_id, message.header.stamp = frame, stamp
    if kind == "twist_stamped":
        linear = message.twist.linear
        linear.x, linear.y, linear.z = first
        return message
    place, turn = message.pose.position, message.pose.orientation
    place.x, place.y, place.z = first
    turn.x, turn.y, turn.z, turn.w = parameters.tool_orientation_xyzw
    return message


def gripper(values: np.ndarray) -> Float64MultiArray:
    """The gripper's command of now."""
    return Float64MultiArray(data=[float(values[0])])


def diagnostics(
    name: str, described: tuple[Level, str, dict[str, str]], stamp: Time
) -> DiagnosticArray:
    """What a node says of itself under a name, for ``/diagnostics``.

    Args:
        name: of the status.
        described: as :func:`real_robot.status.describe` says it.
        stamp: of now.
    """
    level, line, values = described
    status = DiagnosticStatus(
        level=bytes([level]),
        name=name,
        message=line,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
    message = DiagnosticArray(status=[status])
    message.header.stamp = stamp
    return message
