"""`Controller`: inputs as they come, a command at each tick; no ROS, no clock, no thread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mfpolicy.errors import ConfigError
from real_robot.causes import Cause
from real_robot.command import Command, Kind
from real_robot.core.actions import ActionMap
from real_robot.core.deciding import Decider
from real_robot.core.execution import Execution
from real_robot.core.facts import PolicyFacts
from real_robot.core.history import History
from real_robot.core.observing import Observer
from real_robot.parameters import RobotParameters
from real_robot.safety import Guard, Reply

_SAME_RATE = 0.01
_LATE = 1.5  # periods between two ticks: one did not come


class Controller(Observer):
    """Observes, decides and commands; every command was released by `Guard`.

    `tick` is called at ``rate_hz``; the other calls may come at any time, from the same thread.

    Args:
        parameters: of this robot.
        facts: of the policy.
        decider: computes the policy's decisions.

    Attributes:
        rate_hz: of ticks. guard: arms, stops, counts. decision_times_s: of the last decisions.

    Raises:
        ConfigError: parameters and policy do not go together.
    """

    def __init__(self, parameters: RobotParameters, facts: PolicyFacts, decider: Decider) -> None:
        self.rate_hz = _rate_hz(parameters, facts)
        self.guard = Guard(parameters, period_s=1 / self.rate_hz)
        super().__init__(parameters, facts, refusals=self.guard.refusals, inputs=self.guard.inputs)
        self._actions = ActionMap(parameters, facts.action_dim)
        self._execution = Execution(
            parameters,
            decider,
            n_action_steps=facts.n_action_steps,
            refusals=self.guard.refusals,
        )
        self._history = History(facts.n_obs_steps)
        self._ticks, self._ticked_s = 0, float("-inf")
        self.decision_times_s = self._execution.took_s

    @property
    def begun_stamp_s(self) -> float | None:
        """The stamp of the cloud whose decision the last move was the first of; else None."""
        return self._execution.begun_stamp_s

    # What an operator does.

    def arm(self, now_s: float) -> Reply:
        """Arms, see :meth:`Guard.arm`; what has come by now is looked at first."""
        self.look()
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

    def came(self, name: str, now_s: float, stream: str = "") -> None:
        """A message came, see :meth:`Observer.came`; too many of them disarm."""
        self.guard.came(name, now_s, stream)

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
        # ticks that did not come lie between two frames as well
        self._ticks += 1 if (now_s - self._ticked_s) * self.rate_hz <= _LATE else 2
        self._ticked_s = now_s
        if cause is Cause.CLOCK:
            self.forget()
        self.look()
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
            return self.guard.wait(now_s, self._execution.late)
        start = self.guard.motion.start(now_s)
        is_measured = self.parameters.displacement_from == "measured"
        base = start.measured if is_measured else start.position
        command = self.guard.release(*self._actions.targets(actions, base), now_s)
        if command.kind is Kind.MOVE or command.cause is Cause.DRY_RUN:
            self._execution.commanded(now_s)
        else:
            self._restart()
        return command

    def _observe(self) -> None:
        """Adds a frame to the history, on the ticks whose frames a decision will see."""
        if self._execution.ticks_to_request >= self.facts.n_obs_steps and len(self._history):
            return
        frame = self.frame()
        if frame is not None:
            self._history.add(frame.points, frame.state, stamp_s=frame.stamp_s, tick=self._ticks)

    def _on_measured(self, position: NDArray[np.float64], velocity: NDArray[np.float64]) -> None:
        self.guard.motion.measure(position, velocity)

    def _restart(self) -> None:
        """Decides anew, on frames that are yet to come: those before are not a tick apart."""
        self._execution.restart()
        self._history.forget()

    def forget(self) -> None:
        """Nothing has been observed."""
        super().forget()
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
