"""The topics that commands leave by."""

# pyright: reportMissingImports=false

from __future__ import annotations

from builtin_interfaces.msg import Time
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Float64MultiArray

from real_robot.command import Command
from real_robot.node_settings import NodeSettings
from real_robot.parameters import RobotParameters
from real_robot.ros2 import messages


class Output:
    """Publishes moves and holds; lifecycle publishers are mute unless the node is active.

    Args:
        node: that publishes.
        settings: topics and type.
        parameters: names of the axes, orientation of the tool.
    """

    def __init__(
        self, node: LifecycleNode, settings: NodeSettings, parameters: RobotParameters
    ) -> None:
        self._node, self._settings, self._parameters = node, settings, parameters
        kind = messages.type_named(settings.command_type)
        self._commands = node.create_lifecycle_publisher(kind, settings.command_topic, 1)
        self._gripper = None
        if settings.gripper_topic:
            topic = settings.gripper_topic
            self._gripper = node.create_lifecycle_publisher(Float64MultiArray, topic, 1)

    def send(self, command: Command, stamp: Time) -> None:
        """Publishes a command, unless it is silent."""
        if not command.is_sent:
            return
        settings = self._settings
        self._commands.publish(
            messages.encoded(
                command,
                settings.command_type,
                self._parameters,
                frame=settings.world_frame,
                stamp=stamp,
            )
        )
        if self._gripper is not None and command.gripper is not None:
            self._gripper.publish(messages.gripper(command.gripper))

    def close(self) -> None:
        """Ends the publishers."""
        for each in (self._commands, self._gripper):
            if each is not None:
                self._node.destroy_publisher(each)
