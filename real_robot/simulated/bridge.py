"""`Bridge`: the controller's node as a process, told what the simulated robot is like."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from real_robot.simulated import topics
from real_robot.simulated.asking import end
from real_robot.simulated.environments import LoopPlace

_ENDLESS = 1e6
"""An acceleration limit that limits nothing: the simulated robot has none."""

_WAIT = 0.6
"""Of the wall time between ticks, that a tick waits for its decision."""

_DIAGNOSTICS_HZ = 4.0

_CLOCK_JUMP_S = 5.0
"""That a busy machine may leave the simulation, and so the simulated clock, without a step."""

_INPUTS = ("cloud", "joints", "tool")
_PATIENCE, _LEAST_PATIENCE_S = 6, 0.2
"""Frames that may fail to come before an input is stale, and the time that is granted at least."""


def bridge_parameters(
    world: Mapping[str, Any], *, camera: str, server: str, steps_hz: float = 10.0
) -> dict[str, Any]:
    """Parameters of :mod:`real_robot.ros2.node` for a simulated robot.

    Actions are clipped to [-1, 1] as in training, and targets to the robot's own box. The robot
    keeps its own limit of speed, so those of velocity and acceleration are wide. Timeouts are in
    the clock of the world.

    Args:
        world: of :class:`SimulatedRobot`.
        camera: ``depth`` or ``cloud``, as the robot was told.
        server: ``ws://HOST:PORT`` of the policy.
        steps_hz: control steps per second of wall time, as the robot was told.
    """
    robot, pose = world["robot"], np.asarray(world["camera"]["T_world_cam"])
    is_simulated = world["clock"] == "simulated"
    patience_s = max(
        _LEAST_PATIENCE_S, _PATIENCE / (world["rate_hz"] if is_simulated else steps_hz)
    )
    is_tool = robot["action_kind"].startswith("tool")
    has_gripper = robot["gripper_column"] >= 0
    if camera == "cloud":
        source = {"cloud_topic": topics.CLOUD}
    else:
        source = {"depth_topic": topics.DEPTH, "camera_info_topic": topics.CAMERA_INFO}
        if world["color"]:
            source["color_topic"] = topics.COLOR
    parameters = {
        "server": server,
        "use_sim_time": is_simulated,
        **source,
        "cloud_reliability": "reliable",
        "cloud_frame": topics.CAMERA_FRAME,
        "world_frame": topics.WORLD_FRAME,
        "camera_position": pose[:3, 3].tolist(),
        "camera_orientation_xyzw": quaternion_xyzw(pose[:3, :3]).tolist(),
        "joints_topic": topics.JOINTS,
        "command_topic": topics.COMMAND,
        "command_type": "pose_stamped" if is_tool else "joint_trajectory",
        "state": list(robot["state"]),
        "action_kind": robot["action_kind"],
        "action_lower": [-1.0] * len(robot["action_scale"]),
        "action_upper": [1.0] * len(robot["action_scale"]),
        "action_scale": list(robot["action_scale"]),
        "action_offset": list(robot["action_offset"]),
        "lower": list(robot["lower"]),
        "upper": list(robot["upper"]),
        "velocity": list(robot["velocity"]),
        "acceleration": [_ENDLESS] * len(robot["velocity"]),
        "jump": list(robot["jump"]),
        "violation": "clamp",
        "dry_run": False,
        **{f"{name}_{kind}_s": patience_s for name in _INPUTS for kind in ("timeout", "max_age")},
        "clock_jump_s": _CLOCK_JUMP_S,
        "decision_wait_s": _WAIT / steps_hz,
        "diagnostics_hz": _DIAGNOSTICS_HZ,
    }
    if is_tool:
        parameters["tool_topic"] = topics.TOOL
    else:
        parameters["joints"] = list(robot["joints"])
    if has_gripper:
        parameters |= {"gripper_topic": topics.GRIPPER, "gripper_column": robot["gripper_column"]}
        parameters |= {"gripper_lower": -1.0, "gripper_upper": 1.0}
    return parameters


def quaternion_xyzw(rotation: Any) -> np.ndarray:
    """(4,) x, y, z, w of a rotation matrix (3, 3), w not negative.

    Example:
        >>> quaternion_xyzw([[0, -1, 0], [1, 0, 0], [0, 0, 1]]).round(3).tolist()
        [0.0, 0.0, 0.707, 0.707]
    """
    m = np.asarray(rotation, np.float64)
    # the eigenvector of the largest eigenvalue (Bar-Itzhack 2000): stable for every rotation
    k = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0, 0, 0],
            [m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], 0, 0],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1], 0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m.trace()],
        ]
    )
    found = np.linalg.eigh(k)[1][:, -1]
    return found if found[3] >= 0 else -found


class Bridge:
    """The process of the controller's node.

    Args:
        place: of the loop.
        python: with ROS.
        parameters: of the node, by name; written to ``bridge.yaml``.
    """

    def __init__(self, place: LoopPlace, python: Path, parameters: Mapping[str, Any]) -> None:
        path = place.folder / "bridge.yaml"
        told = {"/**": {"ros__parameters": dict(parameters)}}
        path.write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8")
        node = ["real_robot.leash", "real_robot.ros2.node"]
        self._process = place.start(
            "bridge", [str(python), "-m", *node, "--ros-args", "--params-file", str(path)]
        )

    def __enter__(self) -> Bridge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def process(self) -> subprocess.Popen[str]:
        """The process."""
        return self._process

    def close(self) -> None:
        """Ends the process; it disarms first, with a hold where the robot was being moved."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        end(self._process)
