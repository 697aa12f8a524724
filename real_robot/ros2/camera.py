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
from real_robot.causes import Cause
from real_robot.core.observing import Observer
from real_robot.core.pairing import DepthPairs
from real_robot.core.perception import CloudView, DepthView, pose_matrix
from real_robot.node_settings import NodeSettings
from real_robot.rates import Rate
from real_robot.ros2.messages import seconds


class Camera:
    """Hands what a camera sees to an observer.

    Args:
        node: that subscribes.
        settings: topics and QoS.
        observer: that it is handed to.
        rate: of the clouds.
        now_s: the node's clock.
        guarded: makes of a callback one whose failure the node survives.

    Raises:
        BackendError: poses are to come from tf, and tf2_ros is not there.
    """

    def __init__(
        self,
        node: Node,
        settings: NodeSettings,
        observer: Observer,
        rate: Rate,
        now_s: Callable[[], float],
        guarded: Callable[[Callable[..., None]], Callable[..., None]],
    ) -> None:
        self._node, self._observer, self._rate, self._now_s = node, observer, rate, now_s
        self._world = settings.world_frame
        self._buffer = _tf_buffer(node) if settings.use_tf else None
        self._pairs = DepthPairs(observer.refusals, has_color=bool(settings.color_topic))
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
            node.create_subscription(kind, topic, guarded(take), profile)
            for kind, topic, take in wanted
            if topic
        ]

    def close(self) -> None:
        """Ends the subscriptions."""
        for each in self._subscriptions:
            self._node.destroy_subscription(each)
        if self._buffer is not None:
            self._buffer.listener.unregister()

    def _on_cloud(self, message: PointCloud2) -> None:
        self._rate.came(self._now_s())
        self._hand(CloudView(message), message.header, seconds(message.header.stamp))

    def _on_depth(self, message: Image) -> None:
        self._rate.came(self._now_s())
        self._on_view(self._pairs.depth(message, stamp_s=seconds(message.header.stamp)))

    def _on_info(self, message: CameraInfo) -> None:
        self._observer.came("cloud", self._now_s(), "camera_info")
        self._pairs.info(message)

    def _on_color(self, message: Image) -> None:
        self._observer.came("cloud", self._now_s(), "color")
        self._on_view(self._pairs.color(message, stamp_s=seconds(message.header.stamp)))

    def _on_view(self, found: tuple[DepthView, float] | None) -> None:
        if found is not None:
            view, stamp_s = found
            self._hand(view, view.image.header, stamp_s)

    def _hand(self, view: CloudView | DepthView, header: Any, stamp_s: float) -> None:
        """Hands on what was seen, with its camera's pose, where that is to come from tf."""
        matrix = None
        if self._buffer is not None:
            matrix = _looked_up(self._buffer, self._world, header)
            if matrix is None:
                way = f"tf knows no way from {header.frame_id[:80]!r} to {self._world!r}"
                self._observer.refusals.add(Cause.NO_POSE, way)
                return
        self._observer.on_view(
            view,
            frame_id=header.frame_id,
            stamp_s=stamp_s,
            now_s=self._now_s(),
            T_world_cam=matrix,
        )


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
