"""`CommandBag`: commands as the node would publish them, in a bag that rosbags writes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.converting.packages import required
from mfpolicy.errors import ConfigError
from real_robot.command import Command
from real_robot.node_settings import MESSAGE_TYPES, NodeSettings
from real_robot.parameters import RobotParameters


class CommandBag:
    """A bag of commands, open for writing; it is removed if an error ends its ``with``.

    Args:
        path: folder that it becomes.
        settings: topics and type.
        parameters: names of the axes, orientation of the tool.

    Raises:
        BackendError: rosbags is missing.
        ConfigError: there is something at the path.
    """

    def __init__(self, path: Path, settings: NodeSettings, parameters: RobotParameters) -> None:
        rosbag2 = required("rosbags.rosbag2", "a bag of ROS")
        stores = required("rosbags.typesys", "a bag of ROS")
        if path.exists():
            raise ConfigError("out must name a bag that is not there yet", received=str(path))
        self._path, self._settings, self._parameters = path, settings, parameters
        self._store = stores.get_typestore(stores.Stores.ROS2_HUMBLE)
        self._writer = rosbag2.Writer(path, version=9, storage_plugin=rosbag2.StoragePlugin.MCAP)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer.open()
        self._commands = self._connected(settings.command_topic, settings.command_type)
        self._gripper = None
        if settings.gripper_topic:
            self._gripper = self._connected(settings.gripper_topic, "float64_multi_array")

    def __enter__(self) -> CommandBag:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._writer.close()
        if kind is not None:
            shutil.rmtree(self._path)

    def write(self, command: Command, now_s: float) -> None:
        """Writes a command, unless it is silent."""
        if not command.is_sent:
            return
        self._write(self._commands, self._encoded(command, now_s), now_s)
        if self._gripper is not None and command.gripper is not None:
            self._write(self._gripper, self._numbers(command.gripper[:1]), now_s)

    def _connected(self, topic: str, kind: str) -> Any:
        return self._writer.add_connection(topic, MESSAGE_TYPES[kind], typestore=self._store)

    def _write(self, connection: Any, message: Any, now_s: float) -> None:
        raw = self._store.serialize_cdr(message, connection.msgtype)
        self._writer.write(connection, round(now_s * 1e9), raw)

    def _make(self, kind: str, **values: Any) -> Any:
        return self._store.types[kind](**values)

    def _time(self, kind: str, time_s: float) -> Any:
        seconds, nanoseconds = divmod(round(time_s * 1e9), 10**9)
        return self._make(f"builtin_interfaces/msg/{kind}", sec=seconds, nanosec=nanoseconds)

    def _header(self, time_s: float, frame: str) -> Any:
        stamp = self._time("Time", time_s)
        return self._make("std_msgs/msg/Header", stamp=stamp, frame_id=frame)

    def _numbers(self, numbers: Any) -> Any:
        layout = self._make("std_msgs/msg/MultiArrayLayout", dim=[], data_offset=0)
        data = np.asarray(numbers, np.float64)
        return self._make(MESSAGE_TYPES["float64_multi_array"], layout=layout, data=data)

    def _vector(self, kind: str, **numbers: float) -> Any:
        return self._make(f"geometry_msgs/msg/{kind}", **numbers)

    def _encoded(self, command: Command, now_s: float) -> Any:
        kind, first = self._settings.command_type, command.targets[0].tolist()
        if kind == "joint_trajectory":
            return self._trajectory(command)
        if kind == "float64_multi_array":
            return self._numbers(first)
        header = self._header(now_s, self._settings.world_frame)
        place = dict(zip("xyz", first, strict=True))
        if kind == "twist_stamped":
            rest = self._vector("Vector3", x=0.0, y=0.0, z=0.0)
            twist = self._make(
                "geometry_msgs/msg/Twist", linear=self._vector("Vector3", **place), angular=rest
            )
            return self._make(MESSAGE_TYPES[kind], header=header, twist=twist)
        turn = dict(zip("xyzw", self._parameters.tool_orientation_xyzw, strict=True))
        pose = self._make(
            "geometry_msgs/msg/Pose",
            position=self._vector("Point", **place),
            orientation=self._vector("Quaternion", **turn),
        )
        return self._make(MESSAGE_TYPES[kind], header=header, pose=pose)

    def _trajectory(self, command: Command) -> Any:
        none = np.zeros(0)
        points = [
            self._make(
                "trajectory_msgs/msg/JointTrajectoryPoint",
                positions=np.ascontiguousarray(target),
                velocities=none,
                accelerations=none,
                effort=none,
                time_from_start=self._time("Duration", time_s),
            )
            for target, time_s in zip(command.targets, command.times_s, strict=True)
        ]
        return self._make(
            MESSAGE_TYPES["joint_trajectory"],
            header=self._header(0.0, ""),
            joint_names=list(self._parameters.axes),
            points=points,
        )
