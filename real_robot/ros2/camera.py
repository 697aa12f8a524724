"""The camera's topics: clouds, or depth images with their CameraInfo and aligned colors."""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from mfpolicy.errors import BackendError
from real_robot.core import Controller
from real_robot.core.perception import pose_matrix
from real_robot.node_settings import NodeSettings
from real_robot.rates import Rate
from real_robot.ros2.messages import seconds

_SAME_PICTURE_S = 0.02


class Camera:
    """Hands what a camera sees to a controller.

    Args:
        node: that subscribes.
        settings: topics and QoS.
        controller: that it is handed to.
        rate: of the clouds.
        now_s: the node's clock.

    Raises:
        BackendError: poses are to come from tf, and tf2_ros is not there.
    """

    def __init__(
        self,
        node: Node,
        settings: NodeSettings,
        controller: Controller,
        rate: Rate,
        now_s: Callable[[], float],
    ) -> None:
        self._node, self._controller, self._rate, self._now_s = node, controller, rate, now_s
        self._world = settings.world_frame
        self._buffer = _tf_buffer(node) if settings.use_tf else None
        self._info: Any = None
        self._color: Any = None
        self._has_color = bool(settings.color_topic)
        reliable = settings.cloud_reliability == "reliable"
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=settings.cloud_depth,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        )
        wanted = [
            (PointCloud2, settings.cloud_topic, self._on_cloud),
            (Image, settings.depth_topic, self._on_depth),
            (CameraInfo, settings.camera_info_topic, self._on_info),
            (Image, settings.color_topic, self._on_color),
        ]
        self._subscriptions = [
            node.create_subscription(kind, topic, take, profile)
            for kind, topic, take in wanted
            if topic
        ]

    def close(self) -> None:
        """Ends the subscriptions."""
        for each in self._subscriptions:
            self._node.destroy_subscription(each)

    def _on_cloud(self, message: PointCloud2) -> None:
        if self._placed(message.header):
            self._controller.on_cloud(message, **self._times(message.header))

    def _on_depth(self, message: Image) -> None:
        if self._info is None or (self._has_color and not self._matches(message.header)):
            self._rate.came(self._now_s())
            return
        if self._placed(message.header):
            times = self._times(message.header)
            self._controller.on_depth(message, self._info, color=self._color, **times)

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    def _on_color(self, message: Image) -> None:
        self._color = message

    def _matches(self, header: Any) -> bool:
        """Whether the last color image was taken with a depth image."""
        if self._color is None:
            return False
        apart_s = seconds(self._color.header.stamp) - seconds(header.stamp)
        return abs(apart_s) <= _SAME_PICTURE_S

    def _times(self, header: Any) -> dict[str, Any]:
        now_s = self._now_s()
        self._rate.came(now_s)
        return {"frame_id": header.frame_id, "stamp_s": seconds(header.stamp), "now_s": now_s}

    def _placed(self, header: Any) -> bool:
        """Whether the camera's place is known; takes it from tf, where it is to come from there."""
        if self._buffer is None:
            return True
        matrix = _looked_up(self._buffer, self._world, header)
        if matrix is None:
            self._node.get_logger().warning(
                f"tf knows no way from {header.frame_id!r} to {self._world!r}",
                throttle_duration_sec=5.0,
            )
            return False
        self._controller.perception.T_world_cam = matrix
        return True


def _tf_buffer(node: Node) -> Any:
    try:
        import tf2_ros
    except ImportError as error:
        raise BackendError(
            "use_tf needs tf2_ros",
            remedy="install tf2_ros of your ROS, or give camera_position and orientation",
        ) from error
    buffer = tf2_ros.Buffer()
    buffer.listener = tf2_ros.TransformListener(buffer, node)  # lives as long as the buffer
    return buffer


def _looked_up(buffer: Any, world: str, header: Any) -> NDArray[np.float64] | None:
    """(4, 4), the frame of a header to the world, at its stamp; None where tf does not know."""
    import tf2_ros

    try:
        found = buffer.lookup_transform(world, header.frame_id, header.stamp)
    except tf2_ros.TransformException:
        return None
    place, turn = found.transform.translation, found.transform.rotation
    return pose_matrix((place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w))
