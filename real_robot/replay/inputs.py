"""`Inputs`: messages of a bag → the calls of an observer, as the node makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mfpolicy.data.converting.ros.bag import Bag
from mfpolicy.errors import ConfigError, DataError
from real_robot.causes import Cause
from real_robot.core.observing import Observer
from real_robot.core.pairing import DepthPairs
from real_robot.core.perception import DepthView
from real_robot.node_settings import NodeSettings

Taker = Callable[[Any, float, float], None]
"""Takes a message, its stamp (s), and when it was received (s)."""


class Inputs:
    """Hands the messages of a bag to an observer.

    Args:
        bag: open.
        settings: topics.
        observer: that they are handed to.
        others: further topics, each with its type and who takes its messages.

    Raises:
        ConfigError: the camera's pose is to come from tf.
        DataError: a topic is missing, or holds messages of another type.
    """

    def __init__(
        self,
        bag: Bag,
        settings: NodeSettings,
        observer: Observer,
        others: Mapping[str, tuple[str, Taker]] | None = None,
    ) -> None:
        if settings.use_tf:
            raise ConfigError(
                "a replay does not read tf",
                received="use_tf: true",
                remedy="give camera_position and camera_orientation_xyzw, and use_tf: false",
            )
        self._bag, self._settings, self._observer = bag, settings, observer
        self._pairs = DepthPairs(observer.refusals, has_color=bool(settings.color_topic))
        wanted = {
            settings.cloud_topic: ("sensor_msgs/msg/PointCloud2", self._on_cloud),
            settings.depth_topic: ("sensor_msgs/msg/Image", self._on_depth),
            settings.camera_info_topic: ("sensor_msgs/msg/CameraInfo", self._on_info),
            settings.color_topic: ("sensor_msgs/msg/Image", self._on_color),
            settings.joints_topic: ("sensor_msgs/msg/JointState", self._on_joints),
            settings.tool_topic: ("geometry_msgs/msg/PoseStamped", self._on_tool),
            **(others or {}),
        }
        self._takers = {topic: take for topic, (_, take) in wanted.items() if topic}
        types = bag.types()
        for topic, (kind, _) in wanted.items():
            if topic and types.get(topic) != kind:
                raise DataError(
                    f"{bag.path} must have the topic {topic} of the type {kind}",
                    received=types.get(topic, sorted(types)),
                )

    @property
    def topics(self) -> set[str]:
        """That are read."""
        return set(self._takers)

    def take(self, topic: str, raw: bytes, kind: str, stamp_s: float, now_s: float) -> None:
        """Takes a message.

        Raises:
            DataError: it cannot be decoded.
        """
        self._takers[topic](self._bag.decoded(raw, kind), stamp_s, now_s)

    def _on_cloud(self, message: Any, stamp_s: float, now_s: float) -> None:
        frame_id = message.header.frame_id
        self._observer.on_cloud(message, frame_id=frame_id, stamp_s=stamp_s, now_s=now_s)

    def _on_depth(self, message: Any, stamp_s: float, now_s: float) -> None:
        self._on_view(self._pairs.depth(message, stamp_s=stamp_s), now_s)

    def _on_info(self, message: Any, stamp_s: float, now_s: float) -> None:
        self._pairs.info(message)

    def _on_color(self, message: Any, stamp_s: float, now_s: float) -> None:
        self._on_view(self._pairs.color(message, stamp_s=stamp_s), now_s)

    def _on_view(self, found: tuple[DepthView, float] | None, now_s: float) -> None:
        if found is not None:
            view, stamp_s = found
            frame_id = view.image.header.frame_id
            self._observer.on_view(view, frame_id=frame_id, stamp_s=stamp_s, now_s=now_s)

    def _on_joints(self, message: Any, stamp_s: float, now_s: float) -> None:
        self._observer.on_joints(message, stamp_s=stamp_s, now_s=now_s)

    def _on_tool(self, message: Any, stamp_s: float, now_s: float) -> None:
        frame_id, place = message.header.frame_id, message.pose.position
        if frame_id not in ("", self._settings.world_frame):
            self._observer.refusals.add(Cause.WRONG_FRAME, frame_id[:80])
            return
        position = [place.x, place.y, place.z]
        self._observer.on_tool(position, stamp_s=stamp_s, now_s=now_s)
