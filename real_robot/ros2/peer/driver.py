"""`Driver`: the node of a simulated robot, between its world and ROS."""

# pyright: reportMissingImports=false

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from real_robot.ros2.peer import sensors
from real_robot.ros2.peer.faults import Fault
from real_robot.simulated.topics import (
    CAMERA_INFO,
    CLOUD,
    COLOR,
    COMMAND,
    DEPTH,
    GRIPPER,
    JOINTS,
    TOOL,
)


class Driver(Node):
    """Publishes the frames of a world, and hands it what is commanded.

    Args:
        world: what the world said of itself.
        camera: ``depth`` (Image and CameraInfo) or ``cloud`` (PointCloud2).
        tell: sends the world a command.
    """

    def __init__(
        self, world: Mapping[str, Any], *, camera: str, tell: Callable[[dict[str, Any]], None]
    ) -> None:
        super().__init__("simulated_robot")
        self._world, self._is_cloud, self._tell = world, camera == "cloud", tell
        self._has_clock = world["clock"] == "simulated"
        self.fault = Fault()
        self._lock = threading.Lock()
        self._frame: dict[str, Any] = {}
        self._framed_s = 0.0
        self.mark()
        topics: dict[str, tuple[type, str]] = {"joints": (JointState, JOINTS)}
        if world["robot"]["action_kind"].startswith("tool"):
            topics["tool"] = PoseStamped, TOOL
            self.create_subscription(PoseStamped, COMMAND, self._on_pose, 10)
        else:
            self.create_subscription(JointTrajectory, COMMAND, self._on_trajectory, 10)
        if world["robot"]["gripper_column"] >= 0:
            self.create_subscription(Float64MultiArray, GRIPPER, self._on_gripper, 10)
        if self._is_cloud:
            topics["camera"] = PointCloud2, CLOUD
        else:
            topics |= {"camera": (Image, DEPTH), "info": (CameraInfo, CAMERA_INFO)}
            if world["color"]:
                topics["color"] = Image, COLOR
        # reliable: a large message that loses one fragment is lost whole
        self._publishers_of = {
            name: self.create_publisher(kind, topic, QoSProfile(depth=5))
            for name, (kind, topic) in topics.items()
        }
        if self._has_clock:
            self._clock_out = self.create_publisher(Clock, "/clock", QoSProfile(depth=1))

    # From the world.

    def on_frame(self, frame: dict[str, Any], arrays: Mapping[str, Any]) -> None:
        """Publishes what the sensors of the world say."""
        stamp = sensors.time_message(self.fault.time_ns(frame["ns"]))
        for name, message in self._messages(frame, arrays, stamp):
            source = "camera" if name in ("camera", "info", "color") else name
            for _ in range(self.fault.times(source)):
                self._publishers_of[name].publish(message)
        with self._lock:
            self._frame, self._framed_s = frame, time.monotonic()
            self._frames += 1

    def on_clock(self, ns: int) -> None:
        """Publishes the simulated time."""
        message = Clock(clock=sensors.time_message(self.fault.time_ns(ns)))
        for _ in range(self.fault.times("clock")):
            self._clock_out.publish(message)

    def _messages(
        self, frame: Mapping[str, Any], arrays: Mapping[str, Any], stamp: Any
    ) -> list[tuple[str, Any]]:
        camera, depth, color = self._world["camera"], arrays["depth"], arrays.get("color")
        if self._is_cloud:
            seen = sensors.cloud(depth, color, camera, stamp)
        else:
            seen = sensors.depth_image(depth, stamp)
        self.fault.spoil(seen)
        messages = [("joints", sensors.joint_state(frame, stamp))]
        if "tool" in self._publishers_of:
            messages.append(("tool", sensors.tool_pose(frame["tool"], stamp)))
        if not self._is_cloud:
            messages.append(("info", sensors.camera_info(camera, stamp)))
        if "color" in self._publishers_of and color is not None:
            messages.append(("color", sensors.color_image(color, stamp)))
        return [*messages, ("camera", seen)]

    # From the controller.

    def _on_pose(self, message: PoseStamped) -> None:
        place = message.pose.position
        self._command([place.x, place.y, place.z])

    def _on_trajectory(self, message: JointTrajectory) -> None:
        """Takes the first point: a message takes the place of the one before."""
        if not message.points:
            return
        said = dict(zip(message.joint_names, message.points[0].positions, strict=False))
        joints = self._world["robot"]["joints"]
        if set(said) >= set(joints):
            self._command([said[name] for name in joints])

    def _on_gripper(self, message: Float64MultiArray) -> None:
        if len(message.data) == 1 and np.isfinite(message.data[0]):
            self._tell({"do": "grip", "value": message.data[0]})

    def _command(self, target: list[float]) -> None:
        if not np.isfinite(target).all():
            return
        now_s = time.monotonic()
        with self._lock:
            self._commands.append((now_s, now_s - self._framed_s, target))
        self._tell({"do": "command", "target": target})

    # What is counted.

    def mark(self) -> None:
        """Counts from now on."""
        with self._lock:
            self._marked_s = time.monotonic()
            self._commands: list[tuple[float, float, list[float]]] = []
            self._frames = 0

    def report(self) -> dict[str, Any]:
        """What came since `mark`: times in ms of wall time, and how the robot moves now.

        ``intervals_ms`` lie between commands; ``ages_ms`` are those of the newest frame when a
        command came, since it was sent.
        """
        with self._lock:
            commands, frame = list(self._commands), self._frame
            frames, elapsed_s = self._frames, time.monotonic() - self._marked_s
        times_s = [each[0] for each in commands]
        return {
            "commands": len(commands),
            "targets": [each[2] for each in commands],
            "intervals_ms": (np.diff(times_s) * 1e3).tolist(),
            "ages_ms": [each[1] * 1e3 for each in commands],
            "silent_s": elapsed_s if not commands else time.monotonic() - times_s[-1],
            "frames": frames,
            "elapsed_s": elapsed_s,
            **{name: frame.get(name) for name in ("phase", "step", "speed", "tool", "behind")},
        }
