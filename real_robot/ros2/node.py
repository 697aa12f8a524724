"""The controller as a lifecycle node of ROS 2.

Configuring loads and warms the policy; commands are published only while active, armed and not in
a dry run. Services: ``~/arm``, ``~/disarm``, ``~/stop`` (emergency stop) and ``~/reset``.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import functools
import gc
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, State, TransitionCallbackReturn
from rclpy.parameter import Parameter

from mfpolicy.errors import UserError
from real_robot.command import Command, Kind
from real_robot.core import Controller, ThreadDecider
from real_robot.node_settings import NodeSettings
from real_robot.parameters import RobotParameters
from real_robot.policies import OpenPolicy, open_policy
from real_robot.ros2 import declaring, messages, services
from real_robot.ros2.inputs import Inputs
from real_robot.ros2.output import Output
from real_robot.ros2.spinning import settle, spin
from real_robot.safety.guard import NO_TICKS
from real_robot.status import Meters, describe

_DONE, _FAILED = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_WATCH_S = 0.1  # by the computer's own clock


class PolicyController(LifecycleNode):
    """Runs a policy on a robot; its parameters are `RobotParameters` and `NodeSettings`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("policy_controller", **options)
        self._mine = set(declaring.declare(self, RobotParameters, NodeSettings))
        self._controller: Controller | None = None
        self._is_active = False
        self._closing: list[Callable[[], Any]] = []
        self._timer: Any = None
        self.add_on_set_parameters_callback(self._on_set_parameters)

    # Transitions.

    def on_configure(self, state: State) -> TransitionCallbackReturn:
        """Reads the parameters, loads and warms the policy, and subscribes."""
        try:
            self._configure()
        except Exception as error:  # rclpy would swallow it
            is_ours = isinstance(error, UserError | ConnectionError)
            text = str(error) if is_ours else "".join(traceback.format_exception(error))
            self.get_logger().error(text)
            self._close()
            return _FAILED
        settle()
        return _DONE

    def on_activate(self, state: State) -> TransitionCallbackReturn:
        """Begins to tick, disarmed."""
        assert self._controller is not None
        result = super().on_activate(state)
        self._controller.guard.ticks_begin()
        self._is_active, self._ticked_s = True, time.monotonic()
        self._timer = self.create_timer(1 / self._controller.rate_hz, self._guarded(self._tick))
        return result

    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        """Disarms, with a hold where the robot was being moved, and ticks no more."""
        self.rest()
        return super().on_deactivate(state)

    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        """Lets go of the policy and of all topics."""
        self._close()
        return _DONE

    def on_shutdown(self, state: State) -> TransitionCallbackReturn:
        """As cleaning up, from any state."""
        self.rest()
        self._close()
        return _DONE

    def rest(self) -> None:
        """Disarms, ends a motion by a hold, and ticks no more."""
        if self._controller is not None and self._is_active:
            self._controller.disarm()
            self._send(self._controller.halt(self._now_s()))
        if self._timer is not None:
            self.destroy_timer(self._timer)
        self._timer, self._is_active = None, False

    def _configure(self) -> None:
        settings = declaring.read(self, NodeSettings)
        parameters = declaring.read(self, RobotParameters)
        settings.check(parameters)
        policy = self._open(settings, parameters)
        settings.check_color(has_color=policy.facts.has_color)
        decider = ThreadDecider(policy.decide, wait_s=settings.decision_wait_s)
        self._closing.append(decider.close)
        controller = Controller(parameters, policy.facts, decider)
        self._meters = Meters()
        inputs = Inputs(
            self,
            settings,
            controller,
            cloud=self._meters.cloud,
            joints=self._meters.joints,
            now_s=self._now_s,
            guarded=self._guarded,
        )
        self._closing.append(inputs.close)
        self._controller = controller
        self._output = Output(self, settings, parameters)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        self._closing += [
            self._output.close,
            functools.partial(self.destroy_publisher, self._diagnostics),
        ]
        acts = {"arm": self._arm, "disarm": self._disarm, "stop": self._stop, "reset": self._reset}
        self._closing += services.offer(self, acts)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        for period_s, call in (
            (1 / settings.diagnostics_hz, self._diagnose),
            (_WATCH_S, self._watch),
        ):
            timer = self.create_timer(period_s, self._guarded(call), clock=steady)
            self._closing.append(functools.partial(self.destroy_timer, timer))

    def _open(self, settings: NodeSettings, parameters: RobotParameters) -> OpenPolicy:
        policy = open_policy(
            run=settings.run,
            task=settings.run_task,
            server=settings.server,
            token=settings.token,
            device=settings.device,
            compiled=settings.compiled,
            timeout_s=max(parameters.policy_timeout_s, 1.0),
        )
        self._closing.append(policy.close)
        policy.warm()
        return policy

    def _close(self) -> None:
        for close in reversed(self._closing):
            close()
        self._closing, self._controller = [], None
        gc.unfreeze()  # the policy is let go of

    # Ticks and outputs.

    def _tick(self) -> None:
        now_s = self._now_s()
        self._ticked_s = time.monotonic()
        self._meters.ticks.came(now_s)
        command = self._driven.tick(now_s)
        self._send(command)
        stamp_s = self._driven.begun_stamp_s
        if command.kind is Kind.MOVE and stamp_s is not None:
            self._meters.latency_s.add(self._now_s() - stamp_s)

    def _watch(self) -> None:
        """Ends a motion where ticks have stopped coming, as with a simulated clock that stopped."""
        if not self._has_ticks():
            self._send(self._driven.guard.clock_stopped(self._now_s()))

    def _has_ticks(self) -> bool:
        late_s = time.monotonic() - self._ticked_s if self._is_active else 0.0
        return late_s <= max(self._driven.parameters.clock_jump_s, 2 / self._driven.rate_hz)

    def _send(self, command: Command) -> None:
        self._output.send(command, self.get_clock().now().to_msg())

    def _diagnose(self) -> None:
        now = self.get_clock().now()
        described = describe(
            self._driven, self._meters, now.nanoseconds * 1e-9, has_ticks=self._has_ticks()
        )
        name = f"{self.get_name()}: policy"
        self._diagnostics.publish(messages.diagnostics(name, described, now.to_msg()))

    # What an operator does.

    def _arm(self) -> tuple[bool, str]:
        if not self._is_active:
            return False, "the node must be active to be armed"
        if not self._has_ticks():
            return False, NO_TICKS
        reply = self._driven.arm(self._now_s())
        return reply.ok, reply.message

    def _disarm(self) -> tuple[bool, str]:
        reply = self._driven.disarm()
        self._send(self._driven.halt(self._now_s()))
        return reply.ok, reply.message

    def _stop(self) -> tuple[bool, str]:
        reply = self._driven.stop("service ~/stop")
        self._send(self._driven.halt(self._now_s()))
        return reply.ok, reply.message

    def _reset(self) -> tuple[bool, str]:
        reply = self._driven.reset()
        return reply.ok, reply.message

    # Of the node itself.

    @property
    def _driven(self) -> Controller:
        assert self._controller is not None, "only while configured"
        return self._controller

    def _now_s(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def _guarded(self, call: Callable[..., None]) -> Callable[..., None]:
        """``call``, after whose failure the robot is stopped: a bug must not let it go on."""

        @functools.wraps(call)
        def guarded(*words: Any) -> None:
            try:
                call(*words)
            except Exception as error:
                self.get_logger().fatal(f"{type(error).__name__}: {error}; stopped")
                self._driven.stop(f"failure in the node: {error}")
                self._send(self._driven.halt(self._now_s()))

        return guarded

    def _on_set_parameters(self, changed: Sequence[Parameter]) -> SetParametersResult:
        fixed = [each.name for each in changed if each.name in self._mine]
        if self._controller is None or not fixed:
            return SetParametersResult(successful=True)
        reason = f"{', '.join(fixed)} can be set only before the node is configured; clean it up"
        return SetParametersResult(successful=False, reason=reason)


def main(words: Sequence[str] | None = None) -> int:
    """Runs the node until it is told to end, by SIGINT or SIGTERM, and leaves the robot at rest."""
    spin(PolicyController, PolicyController.rest, words)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
