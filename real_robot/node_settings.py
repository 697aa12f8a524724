"""`NodeSettings`: what the ROS node must be told beside the controller's parameters."""

from __future__ import annotations

from dataclasses import dataclass

from mfpolicy.errors import ConfigError
from mfpolicy.options import check_choice, check_whole
from real_robot.checks import at_least_zero, positive
from real_robot.parameters import RobotParameters

COMMAND_TYPES = {
    "joint_trajectory": ("joint", "position"),
    "float64_multi_array": ("joint", None),
    "pose_stamped": ("tool", "position"),
    "twist_stamped": ("tool", "velocity"),
}
"""Message type → the space and the quantity that it carries; None carries both."""

MESSAGE_TYPES = {
    "joint_trajectory": "trajectory_msgs/msg/JointTrajectory",
    "float64_multi_array": "std_msgs/msg/Float64MultiArray",
    "pose_stamped": "geometry_msgs/msg/PoseStamped",
    "twist_stamped": "geometry_msgs/msg/TwistStamped",
    "joint_state": "sensor_msgs/msg/JointState",
}
"""The ROS name of each message type by which a robot is commanded; the last by a leader arm."""

RELIABILITIES = ("best_effort", "reliable")


@dataclass(frozen=True)
class NodeSettings:
    """What the ROS node must be told: the policy, topics, QoS and diagnostics.

    Attributes:
        run, run_task, server, token, device, compiled: see
            :func:`real_robot.policies.open_policy`.
        decision_wait_s: that a tick waits for the policy, so that a fast one costs no tick.
        cloud_topic: PointCloud2; empty where depth images are used.
        depth_topic, camera_info_topic, color_topic: Image, CameraInfo and an aligned Image; the
            last may be empty.
        joints_topic: JointState. tool_topic: PoseStamped of the tool; may be empty.
        cloud_reliability: best_effort or reliable; large clouds over UDP need reliable.
        cloud_depth: messages kept until they are read.
        command_topic, command_type: where commands go, one of ``COMMAND_TYPES``.
        gripper_topic: Float64MultiArray; may be empty where there is no gripper.
        world_frame: name of the training data's frame, for messages and tf.
        use_tf: take the camera's pose from tf, at each cloud, in place of ``camera_position``.
        diagnostics_hz: of ``/diagnostics``.

    Raises:
        ConfigError: a value does not fit.
    """

    run: str = ""
    run_task: str = ""
    server: str = ""
    token: str = ""
    device: str = "cpu"
    compiled: bool = True
    decision_wait_s: float = 0.03
    cloud_topic: str = ""
    depth_topic: str = ""
    camera_info_topic: str = ""
    color_topic: str = ""
    joints_topic: str = "/joint_states"
    tool_topic: str = ""
    cloud_reliability: str = "best_effort"
    cloud_depth: int = 1
    command_topic: str = ""
    command_type: str = "joint_trajectory"
    gripper_topic: str = ""
    world_frame: str = "world"
    use_tf: bool = False
    diagnostics_hz: float = 1.0

    def __post_init__(self) -> None:
        check_choice("command_type", self.command_type, tuple(COMMAND_TYPES))
        check_choice("cloud_reliability", self.cloud_reliability, RELIABILITIES)
        check_whole("cloud_depth", self.cloud_depth, 1, 100)
        at_least_zero(decision_wait_s=self.decision_wait_s)
        positive(diagnostics_hz=self.diagnostics_hz)
        if bool(self.cloud_topic) == bool(self.depth_topic):
            raise ConfigError(
                "either cloud_topic or depth_topic must be given",
                received=(self.cloud_topic, self.depth_topic),
            )
        if self.depth_topic and not self.camera_info_topic:
            raise ConfigError("depth images need camera_info_topic", received="")
        for name in ("joints_topic", "command_topic"):
            if not getattr(self, name):
                raise ConfigError(f"{name} must be given", received="")

    def check(self, parameters: RobotParameters) -> None:
        """Refuses settings that do not go with the controller's parameters.

        Raises:
            ConfigError: the message cannot carry the commands, a topic is missing, or nothing says
                where the camera stands.
        """
        space, quantity = COMMAND_TYPES[self.command_type]
        if space != parameters.space or quantity not in (None, parameters.quantity):
            fitting = [
                name
                for name, carried in COMMAND_TYPES.items()
                if carried[0] == parameters.space and carried[1] in (None, parameters.quantity)
            ]
            raise ConfigError(
                f"command_type must carry a {parameters.space}'s {parameters.quantity}",
                received=self.command_type,
                remedy="use " + " or ".join(fitting),
            )
        if parameters.trajectory_points > 1 and self.command_type != "joint_trajectory":
            raise ConfigError(
                "only a joint_trajectory carries several points",
                received=f"trajectory_points={parameters.trajectory_points}",
            )
        if parameters.needs_tool and not self.tool_topic:
            raise ConfigError(
                "the tool's position is needed: tool_topic must be given", received=""
            )
        is_world = parameters.cloud_frame == self.world_frame
        if not (self.use_tf or parameters.camera_position or is_world):
            raise ConfigError(
                f"where the camera stands must be given: {parameters.cloud_frame!r} is not "
                f"{self.world_frame!r}",
                received="no camera_position",
                remedy="give camera_position and camera_orientation_xyzw, or use_tf: true; "
                "[0.0, 0.0, 0.0] where both frames are the same",
            )
        if self.use_tf and (any(parameters.camera_position) or _is_turned(parameters)):
            raise ConfigError(
                "the camera's pose must come from tf or from the parameters, not from both",
                received="use_tf: true beside camera_position or camera_orientation_xyzw",
                remedy="leave one of them out",
            )
        if parameters.gripper_column >= 0 and not self.gripper_topic:
            raise ConfigError("a gripper is commanded: gripper_topic must be given", received="")

    def check_color(self, *, has_color: bool) -> None:
        """Refuses a camera that can give no colors, where they are seen.

        Whether a cloud has ``rgb`` shows when it comes; one without it is thrown away.

        Raises:
            ConfigError: there are depth images, and no color images beside them.
        """
        if has_color and self.depth_topic and not self.color_topic:
            raise ConfigError(
                "colors are seen, and depth images have none: color_topic must be given",
                received=self.color_topic,
                remedy="name the topic of color images aligned with the depth images, or give "
                "cloud_topic, of clouds with rgb",
            )


def _is_turned(parameters: RobotParameters) -> bool:
    return parameters.camera_orientation_xyzw != (0.0, 0.0, 0.0, 1.0)
