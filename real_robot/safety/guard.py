"""`Guard`: everything that reaches the robot was released here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from real_robot.causes import Cause, Refusals
from real_robot.command import Command, Kind
from real_robot.parameters import RobotParameters
from real_robot.safety.freshness import first_problem, freshness_of_inputs
from real_robot.safety.limits import MotionLimits, Start, Violation
from real_robot.safety.motion import Motion
from real_robot.safety.ticking import Ticking

NO_TICKS = "ticks must come at their rate: the clock has jumped, or stands still. Try again."
_STANDING = (Cause.DISARMED, Cause.EMERGENCY_STOP, Cause.WAITING, Cause.EARLY)


@dataclass(frozen=True)
class Reply:
    """The answer to a service: whether it was done, and why not."""

    ok: bool
    message: str


class Guard:
    """Stands between a controller and the robot; starts disarmed.

    A move is released only while armed, not stopped, with every input fresh and every limit kept.
    Whatever ends a motion is answered by one hold, then by silence. A clock that jumps or stops and
    a flood of messages are faults, which disarm: what came before cannot be told from what comes
    now. An emergency stop lasts until it is reset, and leaves the guard disarmed.

    Args:
        parameters: limits and timeouts.
        period_s: between ticks.

    Attributes:
        refusals: counted by cause. motion: of the robot. inputs: freshness by name.
        is_armed, is_stopped, dry_run: the state. reason: of the last stop.
        fault: the cause that disarmed it, until it is armed again; else None. refusing: the last
            cause that kept it from moving since the last move, waiting aside; else None. Each with
            what was met.
    """

    def __init__(self, parameters: RobotParameters, *, period_s: float) -> None:
        self._parameters, self._period_s = parameters, period_s
        self._is_velocity = parameters.quantity == "velocity"
        self.motion = Motion(len(parameters.axes), period_s=period_s, is_velocity=self._is_velocity)
        self.limits = MotionLimits(
            parameters.axes,
            parameters.lower,
            parameters.upper,
            velocity=parameters.velocity,
            acceleration=parameters.acceleration,
            jump=parameters.jump,
            outside=Cause.POSITION if parameters.space == "joint" else Cause.WORKSPACE,
        )
        self.refusals = Refusals()
        self.inputs = freshness_of_inputs(parameters)
        self.is_armed = self.is_stopped = False
        self.dry_run = parameters.dry_run
        self.reason = ""
        self.fault: tuple[Cause, str] | None = None
        self.refusing: tuple[Cause, str] | None = None
        self._ticking = Ticking(period_s=period_s, jump_s=parameters.clock_jump_s)
        self._released_s: float | None = None
        self._refused_since_s: float | None = None

    # What an operator does.

    def arm(self, now_s: float) -> Reply:
        """Lets motions pass from now on, unless it is stopped, or clock or inputs are not well."""
        if self.is_stopped:
            return Reply(False, f"stopped: {self.reason}. Reset the emergency stop first.")
        if self._ticking.has_jumped(now_s):
            return Reply(False, NO_TICKS)
        cause = first_problem(self.inputs, now_s)
        if cause is not None:
            return Reply(False, self.refusals.not_fresh(cause))
        self.is_armed, self._refused_since_s = True, None
        self.fault = self.refusing = None
        return Reply(True, "armed" + (", dry run: nothing is sent" if self.dry_run else ""))

    def disarm(self) -> Reply:
        """Lets nothing pass from now on; a motion is ended by a hold at the next tick."""
        self.is_armed = False
        return Reply(True, "disarmed")

    def stop(self, reason: str = "emergency stop") -> Reply:
        """Stops, until `reset`."""
        self.is_stopped, self.is_armed, self.reason = True, False, reason
        return Reply(True, f"stopped: {reason}")

    def reset(self) -> Reply:
        """Ends an emergency stop; it stays disarmed."""
        was, self.is_stopped = self.is_stopped, False
        return Reply(was, "reset, disarmed" if was else "was not stopped")

    # What a controller tells, whenever it happens.

    def came(self, name: str, now_s: float, stream: str = "") -> None:
        """A message of an input came; one too many, and it disarms, with a hold at the next tick.

        Args:
            name: of the input.
            now_s: when it was received.
            stream: its topic, where the input has several.
        """
        flood = self.inputs[name].came(now_s, stream)
        if flood is not None and self.is_armed:
            detail = f"messages of {stream or name} came faster than {name}_max_hz"
            self.refusals.add(flood, detail)
            self._disarmed_by(flood, detail)

    def ticks_begin(self) -> None:
        """Ticks begin now: the time since those of before is no jump of the clock."""
        self._ticking.begin()
        self._released_s = None

    def clock_stopped(self, now_s: float) -> Command:
        """No tick came for too long: as after a clock that jumped, nothing is fresh any more."""
        self._lose_clock("no ticks came")
        return self.refuse(Cause.CLOCK, now_s, "no ticks came")

    # What a controller does at each tick, in this order.

    def begin(self, now_s: float) -> Cause | None:
        """Takes the time of a tick: EARLY, which is none, CLOCK where that jumped, or None."""
        found = self._ticking.problem(now_s)
        if found is None:
            return None
        if found[0] is Cause.EARLY:
            self.refusals.add(Cause.EARLY)
        else:
            self._lose_clock(found[1])
        return found[0]

    def blocked(self, now_s: float) -> Cause | None:
        """Why nothing may move now, None where it may."""
        if self.is_stopped:
            return Cause.EMERGENCY_STOP
        return first_problem(self.inputs, now_s) if self.is_armed else Cause.DISARMED

    def refuse(self, cause: Cause, now_s: float, detail: str = "") -> Command:
        """No move at this tick: a hold, where the robot was being moved, else silence."""
        self._count(cause, now_s, detail or self._told_of(cause))
        hold = self._hold(cause, now_s) if self.motion.is_commanded else None
        self.motion.ended()
        if hold is None:
            return Command(Kind.SILENT, self._none(), cause=cause, detail=detail)
        return Command(Kind.HOLD, hold, np.array([self._period_s]), cause=cause, detail=detail)

    def wait(self, now_s: float, late: str = "") -> Command:
        """No decision yet: a robot on its way to positions is left to get there.

        ``late`` says why the last one came too late, where it did.
        """
        if late:
            self.refusing = Cause.LATE_DECISION, late
        if self._is_velocity:
            return self.refuse(Cause.WAITING, now_s)
        self._count(Cause.WAITING, now_s, "")
        return Command(Kind.SILENT, self._none(), cause=Cause.WAITING)

    def release(self, targets: ArrayLike, gripper: ArrayLike | None, now_s: float) -> Command:
        """Releases a move to targets (K, D), or refuses it.

        Args:
            targets: positions or velocities, see `RobotParameters`.
            gripper: (K,), or None.
            now_s: the tick's time.
        """
        if cause := self.blocked(now_s):
            return self.refuse(cause, now_s)
        if self._released_s is not None and now_s - self._released_s < self._period_s / 2:
            self.refusals.add(Cause.EARLY)
            return Command(Kind.SILENT, self._none(), cause=Cause.EARLY)
        targets = np.array(targets, np.float64)
        gripper = None if gripper is None else np.array(gripper, np.float64)
        start = self.motion.start(now_s)
        with np.errstate(over="ignore", invalid="ignore"):
            found = self._gripper_violation(gripper) or self._violation(targets, start)
            if found and self._parameters.violation == "clamp" and np.isfinite(targets).all():
                self.refusals.add(Cause.CLAMPED, found.detail)
                targets, gripper = self._clamped(targets, start), self._clipped(gripper)
                found = self._gripper_violation(gripper) or self._violation(targets, start)
        if found:
            return self.refuse(found.cause, now_s, found.detail)
        times_s = np.arange(1, len(targets) + 1, dtype=np.float64) * self._period_s
        self._refused_since_s = self.refusing = None
        if self.dry_run:
            self.refusals.add(Cause.DRY_RUN)
            return Command(Kind.SILENT, self._none(), cause=Cause.DRY_RUN, preview=targets)
        self._released_s = now_s
        self.motion.sent(targets, start, now_s)
        return Command(Kind.MOVE, targets, times_s, gripper)

    def _violation(self, targets: NDArray, start: Start) -> Violation | None:
        if self._is_velocity:
            return self.limits.of_velocity(targets[-1], start)
        return self.limits.of_positions(targets, start)

    def _clamped(self, targets: NDArray, start: Start) -> NDArray:
        if self._is_velocity:
            return self.limits.clamped_velocity(targets[-1], start)[None]
        return self.limits.clamped(targets, start)

    def _clipped(self, gripper: NDArray | None) -> NDArray | None:
        low, high = self._parameters.gripper_lower, self._parameters.gripper_upper
        return None if gripper is None else np.clip(gripper, low, high)

    def _gripper_violation(self, gripper: NDArray | None) -> Violation | None:
        if gripper is None:
            return None
        low, high = self._parameters.gripper_lower, self._parameters.gripper_upper
        kept = (low <= gripper) & (gripper <= high)
        if kept.all():
            return None
        number = int(np.argmin(kept))
        cause = Cause.GRIPPER if np.isfinite(gripper[number]) else Cause.NAN_ACTION
        return Violation(cause, "gripper", number, f"gripper: {gripper[number]:.6g}")

    def _hold(self, cause: Cause, now_s: float) -> NDArray:
        """(1, D), where the robot is to stay: where it is, as far as that is known.

        A clock that jumped says nothing of the measurement, which was fresh at the tick before.
        """
        if self._is_velocity:
            return np.zeros((1, len(self._parameters.axes)))
        source = self.inputs["joints" if self._parameters.space == "joint" else "tool"]
        is_known = cause is Cause.CLOCK or source.problem(now_s) is None
        if is_known and self.limits.inside(self.motion.measured):
            return self.motion.measured[None].copy()
        return self.motion.start(now_s).position[None].copy()

    def _count(self, cause: Cause, now_s: float, detail: str) -> None:
        self.refusals.add(cause, detail)
        if cause in _STANDING:
            return
        self.refusing = cause, detail
        if self._refused_since_s is None or now_s < self._refused_since_s:
            self._refused_since_s = now_s
        elif self.is_armed and now_s - self._refused_since_s > self._parameters.disarm_after_s:
            self.refusals.add(Cause.AUTO_DISARM, f"after {cause}")
            self._disarmed_by(Cause.AUTO_DISARM, f"after {cause}")

    def _disarmed_by(self, cause: Cause, detail: str) -> None:
        """A fault: disarmed, until somebody arms again."""
        if self.is_armed:
            self.is_armed, self.fault = False, (cause, detail)

    def _lose_clock(self, detail: str) -> None:
        """Nothing that was received before is fresh by the clock of now."""
        for each in self.inputs.values():
            each.forget()
        self._released_s = None
        self._disarmed_by(Cause.CLOCK, detail)

    def _told_of(self, cause: Cause) -> str:
        """What was met, where the fault that disarmed says it."""
        return self.fault[1] if self.fault is not None and self.fault[0] is cause else ""

    def _none(self) -> NDArray[np.float64]:
        return np.zeros((0, len(self._parameters.axes)))
