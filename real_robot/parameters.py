"""`RobotParameters`: what a controller must be told, as YAML or as ROS parameters."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mfpolicy.errors import ConfigError
from mfpolicy.options import check_choice
from real_robot.checks import at_least_zero, axis_numbers, countable, finite, names, positive, unit

ACTION_KINDS = (
    "joint_position",
    "joint_displacement",
    "joint_velocity",
    "tool_position",
    "tool_displacement",
    "tool_velocity",
)
VIOLATIONS = ("refuse", "clamp")
DISPLACEMENTS = ("command", "measured")
TOOL_AXES = ("x", "y", "z")
ANY_FRAME = "*"
_LARGEST_ANGLE = 20.0
_LIMITS = ("lower", "upper", "velocity", "acceleration", "jump")


@dataclass(frozen=True)
class RobotParameters:
    """What a controller must be told; flat, so that ROS parameters can say the same.

    Lengths are metres, angles radians, times seconds, in the world frame of the training data. D
    counts the commanded axes: the joints, or x, y, z of the tool.

    Attributes:
        rate_hz: ticks per second; 0 takes the policy's trained rate, and no other is accepted.
        execution: how chunks are executed, see :mod:`mfpolicy.deployment.chunking`.
        execute: actions of a chunk before the next decision; 0 takes all. Not for
            ``temporal_ensembling``, which decides at every tick.
        asynchronous: decide while the old chunk is executed (``receding_horizon`` alone).
        trajectory_points: K, targets that go out with each command.
        latency_compensation: drop the actions of a chunk that were due before it could be
            executed, counted from the stamp of the observation.
        cloud_frame: frame of the clouds or depth images; ``*`` takes any.
        camera_position: of that frame's origin in the world; empty where it is not given: clouds
            are in the world's frame already, or come with their camera's pose.
        camera_orientation_xyzw: unit quaternion that turns its axes to the world's.
        min_points: points inside the crop box that a cloud must have.
        metres_per_unit: of depth images; 0: 0.001 for whole numbers, 1 for others.
        joints: commanded joints in the order of the action, for ``joint_*``.
        state: the numbers of the policy's state, in order: ``position/JOINT``,
            ``velocity/JOINT``, ``effort/JOINT``, ``tool/x``, ``tool/y`` or ``tool/z``; empty takes
            the positions of ``joints``.
        action_kind: one of ``ACTION_KINDS``: what the action's columns mean.
        action_lower, action_upper: by column, that actions are clipped to before anything else, as
            the environment of the training data did; empty: not clipped.
        action_scale, action_offset: by column, to radians, metres or their rates; empty: 1 and 0.
        gripper_column: of the action, counted from 0; -1 where it has none.
        gripper_lower, gripper_upper: range of the scaled gripper command.
        displacement_from: ``command``, what was commanded last, or ``measured``.
        tool_orientation_xyzw: that the tool is held in, for ``tool_position`` commands.
        lower, upper: (D,) of commanded positions: joint limits, or the workspace box.
        velocity, acceleration: (D,) largest magnitudes of each axis.
        jump: (D,) largest distance of a target from where the robot is measured.
        violation: ``refuse`` what is outside limits, or ``clamp`` it to them; NaN and jumps are
            always refused.
        cloud_timeout_s, joints_timeout_s, tool_timeout_s: since the last one was received.
        cloud_max_age_s, joints_max_age_s, tool_max_age_s: since the stamp of the last one.
        future_tolerance_s: that a stamp may lie ahead of the clock.
        cloud_max_hz, joints_max_hz, tool_max_hz: most messages a second on each of its topics,
            over ``flood_window_s``: more are a flood, which disarms.
        policy_timeout_s: that a decision may take.
        clock_jump_s: that may pass between two ticks; more, or a clock that goes back or stops,
            disarms.
        disarm_after_s: of refusals without a break, until the controller disarms itself.
        dry_run: compute and show commands, send none.

    Raises:
        ConfigError: a value is missing or does not fit.

    Example:
        >>> limits = {name: [1.0, 1.0] for name in ("upper", "velocity", "acceleration", "jump")}
        >>> RobotParameters(joints=["a", "b"], cloud_frame="camera", lower=[-1, -1], **limits).axes
        ('a', 'b')
    """

    rate_hz: float = 0.0
    execution: str = "receding_horizon"
    execute: int = 0
    asynchronous: bool = False
    trajectory_points: int = 1
    latency_compensation: bool = True
    cloud_frame: str = ""
    camera_position: Any = ()
    camera_orientation_xyzw: Any = (0.0, 0.0, 0.0, 1.0)
    min_points: int = 64
    metres_per_unit: float = 0.0
    joints: Any = ()
    state: Any = ()
    action_kind: str = "joint_position"
    action_lower: Any = ()
    action_upper: Any = ()
    action_scale: Any = ()
    action_offset: Any = ()
    gripper_column: int = -1
    gripper_lower: float = 0.0
    gripper_upper: float = 0.0
    displacement_from: str = "command"
    tool_orientation_xyzw: Any = (0.0, 0.0, 0.0, 1.0)
    lower: Any = ()
    upper: Any = ()
    velocity: Any = ()
    acceleration: Any = ()
    jump: Any = ()
    violation: str = "refuse"
    cloud_timeout_s: float = 0.5
    cloud_max_age_s: float = 0.5
    joints_timeout_s: float = 0.1
    joints_max_age_s: float = 0.2
    tool_timeout_s: float = 0.1
    tool_max_age_s: float = 0.2
    future_tolerance_s: float = 0.05
    cloud_max_hz: float = 150.0
    joints_max_hz: float = 2000.0
    tool_max_hz: float = 2000.0
    flood_window_s: float = 1.0
    policy_timeout_s: float = 0.5
    clock_jump_s: float = 1.0
    disarm_after_s: float = 2.0
    dry_run: bool = True

    def __post_init__(self) -> None:
        self._check_choices()
        for name in ("joints", "state"):
            self._set(name, names(name, getattr(self, name)))
        position = axis_numbers("camera_position", self.camera_position, None)
        self._set(
            "camera_position", axis_numbers("camera_position", position, 3) if position else ()
        )
        for name in ("camera_orientation_xyzw", "tool_orientation_xyzw"):
            self._set(name, unit(name, getattr(self, name)))
        for name in ("action_lower", "action_upper", "action_scale", "action_offset"):
            self._set(name, axis_numbers(name, getattr(self, name), None))
        for name in _LIMITS:
            self._set(name, axis_numbers(name, getattr(self, name), len(self.axes), self.axes))
        self._check_limits()
        at_least_zero(rate_hz=self.rate_hz, execute=self.execute)
        at_least_zero(
            metres_per_unit=self.metres_per_unit, future_tolerance_s=self.future_tolerance_s
        )
        positive(min_points=self.min_points, trajectory_points=self.trajectory_points)
        times = [each.name for each in fields(self) if each.name.endswith("_s")]
        times.remove("future_tolerance_s")
        positive(**{name: getattr(self, name) for name in times})
        rates = ("cloud_max_hz", "joints_max_hz", "tool_max_hz")
        countable(self.flood_window_s, **{name: getattr(self, name) for name in rates})
        for element in self.state:
            _check_state_element(element)

    @property
    def space(self) -> str:
        """``joint`` or ``tool``."""
        return self.action_kind.partition("_")[0]

    @property
    def quantity(self) -> str:
        """What is commanded: ``position`` or ``velocity``."""
        return "velocity" if self.action_kind.endswith("_velocity") else "position"

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the D commanded axes."""
        return tuple(self.joints) if self.space == "joint" else TOOL_AXES

    @property
    def state_elements(self) -> tuple[str, ...]:
        """Names of the S numbers of the state."""
        return tuple(self.state) or tuple(f"position/{name}" for name in self.joints)

    @property
    def camera_pose(self) -> tuple[tuple[float, float, float], tuple[float, float, float, float]]:
        """Position and orientation of the camera; of the world itself where none is given."""
        return self.camera_position or (0.0, 0.0, 0.0), self.camera_orientation_xyzw

    @property
    def needs_tool(self) -> bool:
        """Whether the tool's measured position is needed."""
        return self.space == "tool" or any(name.startswith("tool/") for name in self.state)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_choices(self) -> None:
        check_choice("action_kind", self.action_kind, ACTION_KINDS)
        check_choice("violation", self.violation, VIOLATIONS)
        check_choice("displacement_from", self.displacement_from, DISPLACEMENTS)
        if not self.cloud_frame:
            raise ConfigError(
                "cloud_frame must name the frame of the clouds",
                received=self.cloud_frame,
                remedy=f"copy frame_id of a message; {ANY_FRAME!r} takes any",
            )
        if self.space == "joint" and not self.joints:
            raise ConfigError("joints must name the joints that are commanded", received=[])
        if self.quantity == "velocity" and self.trajectory_points != 1:
            raise ConfigError(
                "trajectory_points must be 1 for velocities", received=self.trajectory_points
            )
        if self.gripper_column < -1:
            raise ConfigError("gripper_column must be -1 or a column", received=self.gripper_column)

    def _check_limits(self) -> None:
        low, high = np.array(self.lower), np.array(self.upper)
        if not (low < high).all():
            raise ConfigError(
                "every lower limit must be below its upper one", received=(self.lower, self.upper)
            )
        if self.space == "joint" and max(np.abs(low).max(), np.abs(high).max()) > _LARGEST_ANGLE:
            raise ConfigError(
                f"joint limits are radians, at most {_LARGEST_ANGLE:g}",
                received=(self.lower, self.upper),
                remedy="multiply degrees by pi / 180",
            )
        for name in ("velocity", "acceleration", "jump"):
            if not all(value > 0 for value in getattr(self, name)):
                raise ConfigError(
                    f"every {name} limit must be above 0", received=getattr(self, name)
                )
        finite(gripper_lower=self.gripper_lower, gripper_upper=self.gripper_upper)
        if self.gripper_column >= 0 and not self.gripper_lower < self.gripper_upper:
            raise ConfigError(
                "gripper_lower must be below gripper_upper",
                received=(self.gripper_lower, self.gripper_upper),
            )


def _check_state_element(element: str) -> None:
    source, _, name = element.partition("/")
    of_joint = source in ("position", "velocity", "effort") and name
    if not (of_joint or (source == "tool" and name in TOOL_AXES)):
        raise ConfigError(
            "a number of the state must be position/JOINT, velocity/JOINT, effort/JOINT or "
            "tool/x, tool/y, tool/z",
            received=element,
        )
