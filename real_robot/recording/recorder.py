"""`Recorder`: what is observed and commanded at each step, between start and stop."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mfpolicy.errors import DataError, ObservationError
from real_robot.causes import Cause, Refusals
from real_robot.core.actions import ActionMap
from real_robot.core.observing import Observer
from real_robot.node_settings import NodeSettings
from real_robot.parameters import RobotParameters
from real_robot.recording.commands import Commands
from real_robot.recording.episode import Step, Steps
from real_robot.recording.settings import RecorderSettings
from real_robot.safety import Reply
from real_robot.safety.freshness import first_problem, freshness_of_inputs

Vector = NDArray[np.float64]
_LATE, _EARLY = 1.5, 0.5  # periods between two steps
_REST = 3.5  # periods without another command, after which the robot is at rest


class State(StrEnum):
    """What a recorder does; an episode that has ended waits to be stopped or discarded."""

    IDLE = "idle"
    RECORDING = "recording"
    ENDED = "ended"


class Store(Protocol):
    """Where episodes go."""

    @property
    def episodes(self) -> int:
        """That are kept."""
        ...

    def append(self, steps: Steps) -> None:
        """Keeps an episode; raises DataError where it cannot."""
        ...


class Recorder(Observer):
    """Observes as a controller does, and records what the demonstrator commands.

    `tick` is called at ``rate_hz``. A step holds what a policy would see at that tick, and the
    action that leads to the next: its target is what is commanded when the next tick comes.

    Args:
        parameters: of the robot; an action means what it will mean to its controller.
        settings: topics of the robot.
        recording: what is recorded.
        store: where episodes go.

    Attributes:
        rate_hz: of ticks. store: where episodes go. state: what it does. steps: of the episode
            under way. discarded: episodes that were not kept. reply: of the last service.

    Raises:
        ConfigError: these do not go together.
    """

    def __init__(
        self,
        parameters: RobotParameters,
        settings: NodeSettings,
        recording: RecorderSettings,
        store: Store,
    ) -> None:
        settings.check(parameters)
        recording.check(parameters, settings)
        facts, inputs = recording.facts(parameters), freshness_of_inputs(parameters)
        super().__init__(parameters, facts, refusals=Refusals(), inputs=inputs)
        self.rate_hz, self.store = parameters.rate_hz, store
        self._recording = recording
        self._actions = ActionMap(parameters, facts.action_dim)
        kind = recording.source(settings)[1]
        self._is_measured = kind == "measured"
        taken = "joint_state" if self._is_measured else kind  # read by nobody where measured
        self._commands = Commands(parameters, taken, settings.world_frame)
        self._gripper: float | None = None
        self._measured: tuple[Vector, Vector] | None = None
        self._last: Step | None = None
        self._commanded: Vector | None = None  # at the tick before
        self._moved_s = -np.inf  # when another command was met last
        self._ticked_s: float | None = None
        self.state, self.steps = State.IDLE, Steps(0.0)
        self.discarded, self.reply = 0, Reply(True, "idle")

    # Inputs beside those of an observer.

    def on_command(self, message: Any, *, now_s: float) -> None:
        """Takes the demonstrator's command, a message of the action's type."""
        try:
            self._commands.take(message, now_s)
        except (ObservationError, AttributeError, TypeError, ValueError) as error:
            self.refusals.add(Cause.BAD_COMMAND, str(error))

    def on_gripper(self, message: Any, *, now_s: float) -> None:
        """Takes the gripper's command, a Float64MultiArray; it holds until the next."""
        try:
            value = float(message.data[0])
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            self.refusals.add(Cause.BAD_COMMAND, f"gripper: {error}")
            return
        if np.isfinite(value):
            self._gripper = value
        else:
            self.refusals.add(Cause.BAD_COMMAND, "gripper: not finite")

    def _on_measured(self, position: Vector, velocity: Vector) -> None:
        self._measured = position, velocity

    # What an operator does.

    def start(self, now_s: float) -> Reply:
        """Begins an episode, unless one is under way or something is missing."""
        self.look()
        if self.state is not State.IDLE:
            return self._replied(
                Reply(False, f"an episode is {self.state}: stop or discard it first")
            )
        cause = self.problem(now_s)
        if cause is not None:
            return self._replied(Reply(False, self.refusals.not_fresh(cause)))
        self.state, self.steps, self._last = State.RECORDING, Steps(now_s), None
        return self._replied(Reply(True, f"recording episode {self.store.episodes}"))

    def stop(self, now_s: float) -> Reply:
        """Ends an episode and keeps it; one with faults is discarded, unless faulty ones are kept.

        Where it cannot be written, it waits to be stopped again.
        """
        if self.state is State.IDLE:
            return self._replied(Reply(False, "nothing is being recorded"))
        self.state = State.ENDED
        faults = self.steps.told()
        if not len(self.steps):
            return self._dropped(Reply(False, "discarded: no step was finished"))
        if faults and not self._recording.keep_faulty:
            return self._dropped(Reply(False, f"discarded: {faults}"))
        try:
            self.store.append(self.steps)
        except DataError as error:
            return self._replied(Reply(False, f"not written: {error}; stop again, or discard"))
        kept = f"kept episode {self.store.episodes - 1}: {len(self.steps)} steps"
        self.state, self.steps = State.IDLE, Steps(now_s)
        return self._replied(Reply(True, f"{kept}, with {faults}" if faults else kept))

    def discard(self) -> Reply:
        """Ends an episode and forgets it."""
        if self.state is State.IDLE:
            return self._replied(Reply(False, "nothing is being recorded"))
        return self._dropped(Reply(True, f"discarded {len(self.steps)} steps"))

    # The tick.

    def tick(self, now_s: float) -> None:
        """Takes a step, while an episode is recorded."""
        since = np.inf if self._ticked_s is None else (now_s - self._ticked_s) * self.rate_hz
        if 0 <= since < _EARLY:
            return
        self._ticked_s = now_s
        if since < 0:
            self._clock_went_back(now_s)
        self.look()
        self._note_motion(now_s)
        if self.state is State.RECORDING:
            self._step(now_s, since)

    def _step(self, now_s: float, since: float) -> None:
        if self._last is not None:
            if not 0 < since <= _LATE:
                self.steps.fault(Cause.CLOCK, now_s)
            self._finish(self._last, now_s)
        cause = self.problem(now_s)
        if cause is not None:
            self.steps.fault(cause, now_s)
        self._begin(now_s)
        if len(self.steps) >= self._recording.longest_s * self.rate_hz:
            self.state = State.ENDED
            self._replied(
                Reply(False, f"ended after {self._recording.longest_s:g} s: stop or discard it")
            )

    def _clock_went_back(self, now_s: float) -> None:
        """Ends an episode at fault; what was stamped before must not meet what is stamped now."""
        self.forget()
        self._commands.forget()
        self._measured = self._last = self._commanded = None
        self._moved_s = -np.inf
        for freshness in self.inputs.values():
            freshness.forget()
        if self.state is State.RECORDING:
            self.steps.fault(Cause.CLOCK, now_s)
            self.state = State.ENDED
            self._replied(Reply(False, "ended: the clock went back; discard it"))

    def problem(self, now_s: float) -> Cause | None:
        """Why a step of now would be at fault; None where it would not."""
        cause = first_problem(self.inputs, now_s)
        if cause is not None:
            return cause
        if self._measured is None:
            return Cause.NO_JOINTS
        if self.parameters.gripper_column >= 0 and self._gripper is None:
            return Cause.NO_COMMAND
        if self._is_measured:
            return None
        received_s, most_s = self._commands.received_s, self._recording.command_timeout_s
        if received_s is None:
            return Cause.NO_COMMAND
        is_late = most_s > 0 and not 0 <= now_s - received_s <= most_s
        return Cause.STALE_COMMAND if is_late else None

    def _begin(self, now_s: float) -> None:
        frame = self.frame()
        assert frame is not None  # since the start was let pass
        assert self._measured is not None
        base = self._measured[0]
        # a displacement from rest starts where the robot is measured, as a controller's first does
        is_going_on = self._last is not None or now_s - self._moved_s <= _REST / self.rate_hz
        if is_going_on and self.parameters.displacement_from == "command":
            base = self._target(now_s)
        self._last = Step(frame, now_s, base)

    def _note_motion(self, now_s: float) -> None:
        """Notes when the demonstrator last commanded something else than at the tick before."""
        target, before = self._commands.at(now_s), self._commanded
        if target is not None and before is not None and (target != before).any():
            self._moved_s = now_s
        self._commanded = target

    def _finish(self, step: Step, now_s: float) -> None:
        gripper = self._gripper if self.parameters.gripper_column >= 0 else None
        action = self._actions.action(self._target(now_s), gripper, step.base)
        beyond = self._actions.beyond(action)
        if beyond:
            self.steps.fault(Cause.ACTION_LIMITS, now_s)
        self.steps.add(step, action, beyond)

    def _target(self, now_s: float) -> Vector:
        if self._is_measured:
            assert self._measured is not None
            return self._measured[self.parameters.quantity == "velocity"]
        target = self._commands.at(now_s)
        assert target is not None
        return target

    def _dropped(self, reply: Reply) -> Reply:
        self.state, self.steps = State.IDLE, Steps(0.0)
        self.discarded += 1
        return self._replied(reply)

    def _replied(self, reply: Reply) -> Reply:
        self.reply = reply
        return reply
