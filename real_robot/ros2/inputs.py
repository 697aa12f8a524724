"""The topics that an observer listens to: a camera's, the joints' and the tool's."""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState

from real_robot.causes import Cause
from real_robot.core.observing import Observer
from real_robot.node_settings import NodeSettings
from real_robot.rates import Rate
from real_robot.ros2.camera import Camera
from real_robot.ros2.messages import seconds


class Inputs:
    """Hands what arrives to an observer.

    Args:
        node: that subscribes.
        settings: topics and QoS.
        observer: that it is handed to.
        cloud, joints: rates of what arrives.
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
        *,
        cloud: Rate,
        joints: Rate,
        now_s: Callable[[], float],
        guarded: Callable[[Callable[..., None]], Callable[..., None]],
    ) -> None:
        self._node, self._observer, self._now_s = node, observer, now_s
        self._joints_rate, self._world_frame = joints, settings.world_frame
        self._camera = Camera(node, settings, observer, cloud, now_s, guarded)
        wanted: list[tuple[type, str, Callable[[Any], None]]] = [
            (JointState, settings.joints_topic, self._on_joints),
            (PoseStamped, settings.tool_topic, self._on_tool),
        ]
        self._subscriptions = [
            node.create_subscription(kind, topic, guarded(take), qos_profile_sensor_data)
            for kind, topic, take in wanted
            if topic
        ]

    def close(self) -> None:
        """Ends the subscriptions."""
        for each in self._subscriptions:
            self._node.destroy_subscription(each)
        self._camera.close()

    def _on_joints(self, message: JointState) -> None:
        now_s = self._now_s()
        self._joints_rate.came(now_s)
        self._observer.on_joints(message, stamp_s=seconds(message.header.stamp), now_s=now_s)

    def _on_tool(self, message: PoseStamped) -> None:
        place, stamp_s = message.pose.position, seconds(message.header.stamp)
        if message.header.frame_id not in ("", self._world_frame):
            self._observer.refusals.add(Cause.WRONG_FRAME, message.header.frame_id[:80])
            return
        self._observer.on_tool([place.x, place.y, place.z], stamp_s=stamp_s, now_s=self._now_s())
