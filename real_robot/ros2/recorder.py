"""The recorder of demonstrations as a node of ROS 2.

Its parameters are those of the controller's node, from the same file, and `RecorderSettings`.
Services: ``~/start``, ``~/stop``, which keeps the episode, and ``~/discard``.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Float64MultiArray

from mfpolicy.errors import UserError
from real_robot.node_settings import NodeSettings
from real_robot.parameters import RobotParameters
from real_robot.recording import DatasetStore, Recorder, RecorderSettings
from real_robot.recording.status import RecorderMeters, describe_recorder
from real_robot.ros2 import declaring, messages, services
from real_robot.ros2.inputs import Inputs
from real_robot.ros2.spinning import spin
from real_robot.safety import Reply

_COMMANDS_KEPT = 10


class DemonstrationRecorder(Node):
    """Records what a demonstrator does with the robot; begins idle.

    Raises:
        UserError: a parameter does not fit, or the dataset cannot be written.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("demonstration_recorder", **options)
        declaring.declare(self, RobotParameters, NodeSettings, RecorderSettings)
        settings = declaring.read(self, NodeSettings)
        parameters = declaring.read(self, RobotParameters)
        recording = declaring.read(self, RecorderSettings)
        settings.check(parameters)
        recording.check(parameters, settings)
        self._meters = RecorderMeters()
        self._store = DatasetStore(parameters, settings, recording)
        try:
            self._recorder = Recorder(parameters, settings, recording, self._store)
            self._listen(parameters, settings, recording)
        except BaseException:
            self._store.close()
            raise
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        acts = {"start": self._start, "stop": self._stop, "discard": self._discard}
        services.offer(self, acts)
        self.create_timer(1 / self._recorder.rate_hz, self._guarded(self._tick))
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1 / settings.diagnostics_hz, self._guarded(self._diagnose), clock=steady)
        self.get_logger().info(f"{self._store.episodes} episodes in {recording.out}")

    def end(self) -> None:
        """Keeps what is on the disk; an episode under way is lost, as nobody stopped it."""
        if len(self._recorder.steps):
            self.get_logger().warning(f"{len(self._recorder.steps)} steps were not stopped: lost")
        self._store.close()

    def _listen(
        self, parameters: RobotParameters, settings: NodeSettings, recording: RecorderSettings
    ) -> None:
        Inputs(
            self,
            settings,
            self._recorder,
            cloud=self._meters.cloud,
            joints=self._meters.joints,
            now_s=self._now_s,
            guarded=self._guarded,
        )
        topic, kind = recording.source(settings)
        kept = QoSProfile(depth=_COMMANDS_KEPT)
        if topic:
            self.create_subscription(
                messages.type_named(kind), topic, self._guarded(self._on_command), kept
            )
        if parameters.gripper_column >= 0:
            self.create_subscription(
                Float64MultiArray, settings.gripper_topic, self._guarded(self._on_gripper), kept
            )

    def _on_command(self, message: Any) -> None:
        now_s = self._now_s()
        self._meters.commands.came(now_s)
        self._recorder.on_command(message, now_s=now_s)

    def _on_gripper(self, message: Float64MultiArray) -> None:
        self._recorder.on_gripper(message, now_s=self._now_s())

    def _tick(self) -> None:
        now_s = self._now_s()
        self._meters.ticks.came(now_s)
        self._recorder.tick(now_s)

    def _diagnose(self) -> None:
        now = self.get_clock().now()
        described = describe_recorder(self._recorder, self._meters, now.nanoseconds * 1e-9)
        self._diagnostics.publish(
            messages.diagnostics(f"{self.get_name()}: recorder", described, now.to_msg())
        )

    def _start(self) -> tuple[bool, str]:
        return _told(self._recorder.start(self._now_s()))

    def _stop(self) -> tuple[bool, str]:
        return _told(self._recorder.stop(self._now_s()))

    def _discard(self) -> tuple[bool, str]:
        return _told(self._recorder.discard())

    def _now_s(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def _guarded(self, call: Callable[..., None]) -> Callable[..., None]:
        """``call``, whose failure ends the episode: what was recorded then is not to be trusted."""

        @functools.wraps(call)
        def guarded(*words: Any) -> None:
            try:
                call(*words)
            except Exception as error:
                self.get_logger().fatal(f"{type(error).__name__}: {error}; discarded")
                self._recorder.discard()

        return guarded


def _told(reply: Reply) -> tuple[bool, str]:
    return reply.ok, reply.message


def main(words: Sequence[str] | None = None) -> int:
    """Runs the recorder until SIGINT or SIGTERM; 2: something to mend in the parameters."""
    try:
        spin(DemonstrationRecorder, DemonstrationRecorder.end, words)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
