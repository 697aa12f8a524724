"""Frames of a simulated world as the messages of a camera's and an arm's drivers."""

# pyright: reportMissingImports=false

from __future__ import annotations

import array
from collections.abc import Mapping
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2, PointField

from mfpolicy.pointcloud import depth_to_points
from real_robot.simulated.topics import CAMERA_FRAME, WORLD_FRAME

_FLOAT32 = 7


def time_message(ns: int) -> Time:
    """Nanoseconds as a stamp."""
    return Time(sec=ns // 10**9, nanosec=ns % 10**9)


def depth_image(depth: NDArray[np.float32], stamp: Time) -> Image:
    """``32FC1``, metres, of depth (H, W)."""
    return _image(depth.astype("<f4"), "32FC1", stamp)


def color_image(color: NDArray[np.uint8], stamp: Time) -> Image:
    """``rgb8``, of colors (H, W, 3)."""
    return _image(color, "rgb8", stamp)


def camera_info(camera: Mapping[str, Any], stamp: Time) -> CameraInfo:
    """The intrinsics of a camera without distortion, whole numbers in the middle of pixels."""
    k = np.array(camera["intrinsics"], np.float64)
    k[:2, 2] -= 0.5  # ours are at their corners
    size = int(camera["image_size"])
    projection = np.hstack([k, np.zeros((3, 1))])
    message = CameraInfo(
        width=size,
        height=size,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=k.ravel(),
        r=np.eye(3).ravel(),
        p=projection.ravel(),
    )
    return _headed(message, CAMERA_FRAME, stamp)


def cloud(
    depth: NDArray[np.float32],
    color: NDArray[np.uint8] | None,
    camera: Mapping[str, Any],
    stamp: Time,
) -> PointCloud2:
    """An organised cloud (H, W) in the camera's frame, with ``rgb`` where there are colors."""
    height, width = depth.shape
    columns = [depth_to_points(depth, camera["intrinsics"]).astype("<f4")]
    names = ["x", "y", "z"]
    if color is not None:
        rgb = color.reshape(-1, 3).astype(np.uint32)
        packed = (rgb[:, 0] << 16) | (rgb[:, 1] << 8) | rgb[:, 2]
        columns.append(packed.astype("<u4").view("<f4")[:, None])
        names.append("rgb")
    points = np.hstack(columns)
    message = PointCloud2(
        height=height,
        width=width,
        fields=[
            PointField(name=name, offset=4 * place, datatype=_FLOAT32, count=1)
            for place, name in enumerate(names)
        ],
        point_step=4 * len(names),
        row_step=4 * len(names) * width,
        data=array.array("B", points.tobytes()),
        is_dense=True,
    )
    return _headed(message, CAMERA_FRAME, stamp)


def joint_state(frame: Mapping[str, Any], stamp: Time) -> JointState:
    """Positions and velocities of the joints."""
    message = JointState(
        name=list(frame["names"]), position=frame["position"], velocity=frame["velocity"]
    )
    return _headed(message, "", stamp)


def tool_pose(position: Any, stamp: Time) -> PoseStamped:
    """The place of the tool in the world; its orientation is not told."""
    message = PoseStamped()
    place = message.pose.position
    place.x, place.y, place.z = (float(number) for number in position)
    message.pose.orientation.w = 1.0
    return _headed(message, WORLD_FRAME, stamp)


def _image(pixels: NDArray[Any], encoding: str, stamp: Time) -> Image:
    height, width = pixels.shape[:2]
    data = np.ascontiguousarray(pixels).tobytes()
    message = Image(
        height=height,
        width=width,
        encoding=encoding,
        step=len(data) // height,
        data=array.array("B", data),
    )
    return _headed(message, CAMERA_FRAME, stamp)


def _headed(message: Any, frame: str, stamp: Time) -> Any:
    message.header.frame_id, message.header.stamp = frame, stamp
    return message
