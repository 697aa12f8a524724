"""Bags written by rosbags itself: a depth camera, its cloud, joints, and commands."""

from pathlib import Path

import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

KINDS = ("ros1", "sqlite3", "mcap")
HEIGHT, WIDTH, FOCAL, DEPTH_M = 6, 8, 10.0, 0.8
JOINTS = ["b", "a", "c"]
FIELD = {"i2": 3, "u4": 6, "f4": 7, "f8": 8}


class BagWriter:
    """One bag of any kind; topics are opened when they are first written to."""

    def __init__(self, path: Path, kind: str):
        self.is_ros1 = kind == "ros1"
        self.types = get_typestore(Stores.ROS1_NOETIC if self.is_ros1 else Stores.ROS2_HUMBLE)
        plugin = StoragePlugin.MCAP if kind == "mcap" else StoragePlugin.SQLITE3
        self.writer = (
            Writer1(path) if self.is_ros1 else Writer2(path, version=9, storage_plugin=plugin)
        )
        self.writer.open()
        self.connections: dict = {}

    def make(self, kind, /, **values):
        return self.types.types[kind](**values)

    def header(self, time_s, frame="camera"):
        nanoseconds = round(time_s * 1e9)
        stamp = self.make(
            "builtin_interfaces/msg/Time",
            sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9,
        )  # fmt: skip
        extra = {"seq": 0} if self.is_ros1 else {}
        return self.make("std_msgs/msg/Header", stamp=stamp, frame_id=frame, **extra)

    def write(self, topic, message, received_s):
        kind = message.__msgtype__
        if topic not in self.connections:
            self.connections[topic] = self.writer.add_connection(topic, kind, typestore=self.types)
        encode = self.types.serialize_ros1 if self.is_ros1 else self.types.serialize_cdr
        self.writer.write(self.connections[topic], round(received_s * 1e9), encode(message, kind))

    def cloud(self, topic, time_s, xyz, rgb, *, kind="f4", big=False, padding=0, frame="camera"):
        """(M, 3) as PointCloud2: x, y, z and rgb with gaps between, rows padded."""
        order = ">" if big else "<"
        size = np.dtype(kind).itemsize
        offsets = [4, 4 + size + 1, 4 + 2 * (size + 1), 4 + 3 * (size + 1)]
        packed = np.dtype({
            "names": ["x", "y", "z", "rgb"], "formats": [order + kind] * 3 + [order + "u4"],
            "offsets": offsets, "itemsize": offsets[-1] + 9,
        })  # fmt: skip
        points = np.zeros(len(xyz), packed)
        for axis, name in enumerate("xyz"):
            points[name] = xyz[:, axis]
        points["rgb"] = (rgb.astype(np.uint32) << [16, 8, 0]).sum(axis=1)
        row = points.tobytes() + bytes(padding)
        fields = [
            self.make("sensor_msgs/msg/PointField", name=name, offset=offset,
                      datatype=FIELD["u4"] if name == "rgb" else FIELD[kind], count=1)
            for name, offset in zip(packed.names, offsets, strict=True)
        ]  # fmt: skip
        message = self.make(
            "sensor_msgs/msg/PointCloud2", header=self.header(time_s, frame), height=1,
            width=len(xyz), fields=fields, is_bigendian=big, point_step=packed.itemsize,
            row_step=len(row), data=np.frombuffer(row, np.uint8), is_dense=False,
        )  # fmt: skip
        self.write(topic, message, time_s + 0.003)

    def image(self, topic, time_s, pixels, encoding):
        data = np.ascontiguousarray(pixels).view(np.uint8).reshape(-1)
        message = self.make(
            "sensor_msgs/msg/Image", header=self.header(time_s), height=pixels.shape[0],
            width=pixels.shape[1], encoding=encoding, is_bigendian=0,
            step=len(data) // pixels.shape[0], data=data,
        )  # fmt: skip
        self.write(topic, message, time_s + 0.004)

    def camera_info(self, topic, time_s, distortion=0.0):
        matrix = np.array([FOCAL, 0, 3.5, 0, FOCAL, 2.5, 0, 0, 1])
        upper = {"D": np.full(5, distortion), "K": matrix, "R": np.eye(3).ravel(),
                 "P": np.eye(3, 4).ravel()}  # fmt: skip
        roi = self.make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0,
                        width=0, do_rectify=False)  # fmt: skip
        values = upper if self.is_ros1 else {name.lower(): each for name, each in upper.items()}
        message = self.make(
            "sensor_msgs/msg/CameraInfo", header=self.header(time_s), height=HEIGHT, width=WIDTH,
            distortion_model="plumb_bob", binning_x=0, binning_y=0, roi=roi, **values,
        )  # fmt: skip
        self.write(topic, message, time_s)

    def joints(self, topic, time_s, position):
        message = self.make(
            "sensor_msgs/msg/JointState", header=self.header(time_s), name=JOINTS,
            position=np.asarray(position, float), velocity=np.zeros(3), effort=np.zeros(3),
        )  # fmt: skip
        self.write(topic, message, time_s + 0.001)

    def command(self, topic, time_s, values):
        layout = self.make("std_msgs/msg/MultiArrayLayout", dim=[], data_offset=0)
        message = self.make(
            "std_msgs/msg/Float64MultiArray", layout=layout, data=np.asarray(values, float)
        )
        self.write(topic, message, time_s)

    def close(self):
        self.writer.close()


def write_bag(path: Path, kind: str, *, seconds=1.0, start_s=100.0, late_s=0.0) -> Path:
    """A bag: clouds and depth at 15 Hz, joints at 50 Hz, commands at 20 Hz, a gripper twice.

    Depth grows with time, joints and commands are functions of it, so every message tells its time.
    """
    bag = BagWriter(path, kind)
    written = []
    for step in range(int(seconds * 15) + 1):
        time = start_s + step / 15 + late_s
        grid = np.mgrid[:HEIGHT, :WIDTH].reshape(2, -1)[::-1].T
        depth = DEPTH_M + (time - start_s) / 10
        xyz = np.concatenate([(grid - [3.5, 2.5]) * depth / FOCAL,
                              np.full((len(grid), 1), depth)], axis=1)  # fmt: skip
        xyz[::7] = np.nan
        color = np.concatenate([grid * 5, np.full((len(grid), 1), 9)], axis=1)
        image = np.full((HEIGHT, WIDTH), round(depth * 1000), np.uint16)
        image[0, 0] = 0
        picture = color.reshape(HEIGHT, WIDTH, 3)[..., ::-1].astype(np.uint8)
        written += [
            (time, "cloud", (xyz, color)), (time, "depth", image), (time, "color", picture),
            (time, "info", None),
        ]  # fmt: skip
    written += [(start_s + n / 50, "joints", n / 50) for n in range(int(seconds * 50) + 1)]
    written += [(start_s + n / 20, "command", n / 20) for n in range(int(seconds * 20) + 1)]
    written += [(start_s + 0.0, "gripper", 0.0), (start_s + 0.5 * seconds, "gripper", 1.0)]
    for time, what, value in sorted(written, key=lambda each: each[0]):
        if what == "cloud":
            bag.cloud("/camera/points", time, *value)
        elif what == "depth":
            bag.image("/camera/depth", time, value, "16UC1")
        elif what == "color":
            bag.image("/camera/color", time, value, "bgr8")
        elif what == "info":
            bag.camera_info("/camera/info", time)
        elif what == "joints":
            bag.joints("/joint_states", time, [value, value + 10, value + 20])
        else:
            bag.command(f"/{what}", time, [value, -value] if what == "command" else [value])
    bag.close()
    return path
