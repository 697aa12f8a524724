"""`Controller`: inputs as they come, a command at each tick; no ROS, no clock, no thread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfpolicy.errors import ConfigError, ObservationError
from real_robot.causes import Cause
from real_robot.command import Command, Kind
from real_robot.core.actions import ActionMap
from real_robot.core.deciding import Decider
from real_robot.core.execution import Execution
from real_robot.core.facts import PolicyFacts
from real_robot.core.history import History
from real_robot.core.perception import CloudView, DepthView, Perception
from real_robot.core.proprioception import Proprioception
from real_robot.parameters import ANY_FRAME, RobotParameters
from real_robot.safety import Guard, Reply

_SAME_RATE = 0.01
_Unread = tuple[CloudView | DepthView, NDArray[np.float64] | None, float, float]
"""A view, the pose of its camera, its stamp and its receipt."""


class Controller:
    """Observes, decides and commands; every command was released by `Guard`.

    All times are seconds of one clock, the one that stamps the messages. `tick` is called at
    ``rate_hz``; the other calls may come at any time, from the same thread.

    Args:
        parameters: of this robot.
        facts: of the policy.
        decider: computes the policy's decisions.

    Attributes:
        rate_hz: of ticks. guard: arms, stops, counts. perception: reads what the camera sees.
        decision_times_s: of the last decisions.

    Raises:
        ConfigError: parameters and policy do not go together.
    """

    def __init__(self, parameters: RobotParameters, facts: PolicyFacts, decider: Decider) -> None:
        self.parameters, self.facts = parameters, facts
        self.rate_hz = _rate_hz(parameters, facts)
        if len(parameters.state_elements) != facts.state_dim:
            raise ConfigError(
                f"state must name the {facts.state_dim} numbers of the policy's state",
                received=parameters.state_elements,
            )
        self.guard = Guard(parameters, period_s=1 / self.rate_hz)
        self.perception = Perception(facts, parameters)
        self._actions = ActionMap(parameters, facts.action_dim)
        self._proprioception = Proprioception(parameters)
        self._execution = Execution(
            parameters,
            decider,
            n_action_steps=facts.n_action_steps,
            refusals=self.guard.refusals,
        )
        self._history = History(facts.n_obs_steps)
        self._ticks = 0
        self.decision_times_s = self._execution.took_s
        self._forget()

    @property
    def begun_stamp_s(self) -> float | None:
        """The stamp of the cloud whose decision the last move was the first of; else None."""
        return self._execution.begun_stamp_s

    # Inputs.

    def on_cloud(
        self,
        message: Any,
        *,
        frame_id: str,
        stamp_s: float,
        now_s: float,
        T_world_cam: NDArray[np.float64] | None = None,
    ) -> None:
        """Takes a PointCloud2; the newest one is read at the next tick.

        ``T_world_cam`` (4, 4) is the pose of its camera; None takes that of the parameters.
        """
        self._on_view(CloudView(message), frame_id, stamp_s, now_s, T_world_cam)

    def on_depth(
        self,
        image: Any,
        info: Any,
        *,
        frame_id: str,
        stamp_s: float,
        now_s: float,
        color: Any = None,
        T_world_cam: NDArray[np.float64] | None = None,
    ) -> None:
        """Takes a depth Image, its CameraInfo, and a color Image aligned with it, or None.

        ``T_world_cam`` is that of `on_cloud`.
        """
        self._on_view(DepthView(image, info, color), frame_id, stamp_s, now_s, T_world_cam)

    def on_joints(self, message: Any, *, stamp_s: float, now_s: float) -> None:
        """Takes a JointState; it may hold some of the joints."""
        try:
            times = self._proprioception.joints(message, stamp_s, now_s)
        except (ObservationError, TypeError, ValueError, OverflowError) as error:
            self.guard.refusals.add(Cause.BAD_JOINTS, str(error))
            return
        if times is not None:
            self.guard.inputs["joints"].saw(stamp_s=times[0], received_s=times[1])
        self._measure()

    def on_tool(self, position: ArrayLike, *, stamp_s: float, now_s: float) -> None:
        """Takes the tool's measured position (3,), world frame, metres."""
        try:
            self._proprioception.tool(position, stamp_s)
        except (ObservationError, TypeError, ValueError) as error:
            self.guard.refusals.add(Cause.BAD_TOOL, str(error))
            return
        if "tool" in self.guard.inputs:
            self.guard.inputs["tool"].saw(stamp_s=stamp_s, received_s=now_s)
        self._measure()

    # What an operator does.

    def arm(self, now_s: float) -> Reply:
        """Arms, see :meth:`Guard.arm`; what has come by now is looked at first."""
        self._look()
        return self.guard.arm(now_s)

    def disarm(self) -> Reply:
        """Disarms, see :meth:`Guard.disarm`."""
        return self.guard.disarm()

    def stop(self, reason: str = "emergency stop") -> Reply:
        """Stops until `reset`, see :meth:`Guard.stop`."""
        return self.guard.stop(reason)

    def reset(self) -> Reply:
        """Ends an emergency stop, see :meth:`Guard.reset`."""
        return self.guard.reset()

    def halt(self, now_s: float) -> Command:
        """The hold that ends a motion at once after `stop` or `disarm`, before the next tick."""
        cause = self.guard.blocked(now_s) or Cause.DISARMED
        self._restart()
        return self.guard.refuse(cause, now_s)

    # The tick.

    def tick(self, now_s: float) -> Command:
        """Decides what the robot does now."""
        cause = self.guard.begin(now_s)
        if cause is Cause.EARLY:
            return Command(Kind.SILENT, np.zeros((0, len(self.parameters.axes))), cause=cause)
        self._ticks += 1
        if cause is Cause.CLOCK:
            self._forget()
        self._look()
        problem = self._execution.collect()
        cause = cause or self.guard.blocked(now_s)
        if cause is not None:
            self._restart()
            return self.guard.refuse(cause, now_s)
        self._observe()
        if problem is None and len(self._history):
            self._execution.ask(self._history.observation(), self._history.stamp_s, now_s)
            problem = self._execution.collect()
        if problem is None and self._execution.is_late(now_s):
            problem = Cause.POLICY_OVERRUN, f"more than {self.parameters.policy_timeout_s:g} s"
        if problem is not None:
            self._restart()
            return self.guard.refuse(problem[0], now_s, problem[1])
        return self._command(now_s)

    def _command(self, now_s: float) -> Command:
        actions = self._execution.act(self.parameters.trajectory_points)
        if actions is None:
            return self.guard.wait(now_s)
        start = self.guard.motion.start(now_s)
        is_measured = self.parameters.displacement_from == "measured"
        base = start.measured if is_measured else start.position
        command = self.guard.release(*self._actions.targets(actions, base), now_s)
        if command.kind is Kind.MOVE or command.cause is Cause.DRY_RUN:
            self._execution.commanded(now_s)
        else:
            self._restart()
        return command

    def _on_view(
        self,
        view: CloudView | DepthView,
        frame_id: str,
        stamp_s: float,
        now_s: float,
        T_world_cam: NDArray[np.float64] | None,
    ) -> None:
        wanted = self.parameters.cloud_frame
        if wanted not in (ANY_FRAME, frame_id):
            self.guard.refusals.add(Cause.WRONG_FRAME, f"{frame_id[:80]!r}, not {wanted!r}")
            return
        self._unread = view, T_world_cam, stamp_s, now_s

    def _look(self) -> None:
        """Reads the newest view; one that cannot be used leaves the one before in its place."""
        if self._unread is None:
            return
        (view, T_world_cam, stamp_s, received_s), self._unread = self._unread, None
        try:
            points = self.perception.seen(view, T_world_cam)
        except (ObservationError, AttributeError, TypeError, ValueError, OverflowError) as error:
            self.guard.refusals.add(Cause.BAD_CLOUD, str(error))
            return
        if len(points) < self.parameters.min_points:
            self.guard.refusals.add(Cause.TOO_FEW_POINTS, f"{len(points)} inside the box")
            return
        self._points, self._points_stamp_s, self._is_sampled = points, stamp_s, False
        self.guard.inputs["cloud"].saw(stamp_s=stamp_s, received_s=received_s)

    def _observe(self) -> None:
        """Adds a frame to the history, on the ticks whose frames a decision will see."""
        if self._execution.ticks_to_request >= self.facts.n_obs_steps and len(self._history):
            return
        state = self._proprioception.state(self._points_stamp_s)
        if state is None or self._points is None:
            return
        if not self._is_sampled:
            self._points, self._is_sampled = self.perception.sampled(self._points), True
        self._history.add(self._points, state, stamp_s=self._points_stamp_s, tick=self._ticks)

    def _measure(self) -> None:
        measured = self._proprioception.measured()
        if measured is not None:
            self.guard.motion.measure(*measured)

    def _restart(self) -> None:
        """Decides anew, on frames that are yet to come: those before are not a tick apart."""
        self._execution.restart()
        self._history.forget()

    def _forget(self) -> None:
        """Nothing has been observed."""
        self._unread: _Unread | None = None
        self._points: NDArray[np.float32] | None = None
        self._points_stamp_s, self._is_sampled = float("nan"), False
        self._proprioception.forget()
        self._restart()


def _rate_hz(parameters: RobotParameters, facts: PolicyFacts) -> float:
    """The rate of ticks: the trained one."""
    if facts.rate_hz is None:
        if parameters.rate_hz:
            return parameters.rate_hz
        raise ConfigError(
            "rate_hz must be given, since the policy does not say at which rate it was trained",
            received=parameters.rate_hz,
        )
    if parameters.rate_hz and abs(parameters.rate_hz / facts.rate_hz - 1) > _SAME_RATE:
        raise ConfigError(
            f"ticks must come at the rate that the policy was trained at, {facts.rate_hz:g} Hz",
            received=parameters.rate_hz,
            remedy="leave rate_hz at 0",
        )
    return facts.rate_hz
