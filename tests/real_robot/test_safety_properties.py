"""Whatever comes, in whatever order: no command outside limits, none that nothing allows."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.robot_arm import LIMITS, PERIOD_S, WALL, Arm, wall
from real_robot.command import Kind

LOW, HIGH = np.array(LIMITS["lower"]), np.array(LIMITS["upper"])
FAST, JUMP = np.array(LIMITS["velocity"]), np.array(LIMITS["jump"])
HARD = np.array(LIMITS["acceleration"])
ROUNDING = 1e-6
STEPS_S = [0.0, 0.02, 0.07, 0.3, 0.7, 5.0, -0.05, -3.0, math.nan, math.inf]
ODD_CLOUDS = {
    "few": wall(3),
    "nan": dataclasses.replace(WALL, data=np.full(192, np.nan, "<f4").tobytes()),
    "garbage": dataclasses.replace(WALL, point_step=5),
}
numbers = st.one_of(
    st.floats(-1.2, 1.2), st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -1e9, 0.0])
)
small = st.one_of(
    st.floats(-0.08, 0.08), st.floats(-0.8, 0.8), st.sampled_from([-0.15, 0.06, 0.08, 0.15, 0.25])
)
edges = st.tuples(st.sampled_from([-0.97, 0.97, 1.02]), st.sampled_from([-1.95, 1.95, -2.05]))
events = st.one_of(
    st.tuples(st.just("tick"), st.just(PERIOD_S)),
    st.tuples(st.just("tick"), st.one_of(st.sampled_from(STEPS_S), st.floats(0.05, 0.15))),
    st.tuples(st.just("wait"), st.floats(0.0, 0.6)),
    st.tuples(st.just("cloud"), st.sampled_from([0.0, 0.3, 0.6, -0.2, math.nan, *ODD_CLOUDS])),
    st.tuples(st.just("joints"), st.sampled_from([0.0, 0.15, 0.3, -0.2, math.nan, "nan", "half"])),
    st.tuples(st.just("place"), st.one_of(edges, edges, st.tuples(numbers, numbers))),
    st.tuples(st.just("policy"), st.tuples(st.booleans(), small, small, numbers, numbers)),
    st.tuples(st.sampled_from(["arm", "disarm", "stop", "reset", "halt"]), st.none()),
    st.tuples(st.just("run"), st.integers(1, 5)),
    st.tuples(st.just("leap"), st.sampled_from([5.0, -3.0])),
    st.tuples(st.sampled_from(["flood_cloud", "flood_joints"]), st.integers(2, 12)),
)
MOST, WINDOW_S, JUMP_S = 8, 0.4, 1.0
RATES = {"cloud_max_hz": MOST / WINDOW_S, "joints_max_hz": MOST / WINDOW_S,
         "flood_window_s": WINDOW_S, "clock_jump_s": JUMP_S}  # fmt: skip


class Watched:
    """An arm under events, and what is known of it without asking the controller."""

    def __init__(self, kind, violation, points) -> None:
        self.actions = np.zeros((4, 2))
        points = 1 if kind == "joint_velocity" else points
        self.arm = Arm(lambda _: self.actions, action_kind=kind, violation=violation,
                       trajectory_points=points, **RATES)  # fmt: skip
        self.is_velocity = kind == "joint_velocity"
        self.may_move = self.is_stopped = False
        self.cloud_s = self.joints_s = (-math.inf, -math.inf)
        self.unread_s = None  # of the newest cloud, which is read at the next tick
        self.measured = None
        self.sent = None  # the last command, with its time
        self.received = {"cloud": [], "joints": []}
        self.ticked_s, self.early = None, 0
        self.came("cloud")
        self.came("joints")
        self.arm.arm()
        self._good_cloud(0.0)
        self._good_joints(0.0)
        self._look()
        self.may_move = True

    def apply(self, name, value) -> None:
        arm = self.arm
        if name == "tick":
            self._tick(value)
        elif name == "wait":
            arm.now_s += value
        elif name == "run":
            for _ in range(value):
                self.came("cloud")
                self.came("joints")
                arm.sense()
                self._good_cloud(0.0)
                self._good_joints(0.0)
                self._tick(PERIOD_S)
        elif name == "leap":
            self._tick(value)
            self.apply("run", 2)
        elif name.startswith("flood"):
            for _ in range(value):
                self.apply(name.partition("_")[2], 0.0)
        elif name == "cloud":
            self.came("cloud")
            if isinstance(value, str):
                arm.cloud(ODD_CLOUDS[value])
                self.unread_s = None
            else:
                arm.cloud(age_s=value)
                self._good_cloud(value)
        elif name == "joints":
            self.came("joints")
            if value == "nan":
                arm.joints(position=[math.nan, 0.0])
            elif value == "half":
                arm.joints(name=["a"], position=[0.0])
                self.measured = None if self.measured is None else self.measured * [0, 1]
            else:
                arm.joints(age_s=value)
                self._good_joints(value)
        elif name == "place":
            arm.position = np.array(value)
        elif name == "policy":
            near, *rest = value
            scale = arm.position if np.isfinite(arm.position).all() else 0
            self.actions = np.tile(scale + np.array(rest[:2]) if near else rest[2:], (4, 1))
        elif name == "arm":
            reply = arm.controller.arm(arm.now_s)
            assert not (reply.ok and (self.is_stopped or self.floods()))
            self.may_move |= reply.ok
            self._look()
        elif name == "halt":
            arm.controller.disarm()
            self.may_move = False
            self._check(arm.controller.halt(arm.now_s), arm.now_s)
        else:
            getattr(arm.controller, name)()
            self.may_move = self.may_move and name == "reset"
            self.is_stopped = name == "stop" or (self.is_stopped and name != "reset")

    def came(self, stream) -> None:
        """A message comes: one too many in the window, and nothing moves until it is armed."""
        times_s = self.received[stream]
        if times_s and self.arm.now_s < times_s[-1]:
            times_s.clear()
        times_s.append(self.arm.now_s)
        self.may_move &= not self.floods(stream)

    def floods(self, *streams) -> bool:
        now_s = self.arm.now_s
        recent = [
            sum(0 <= now_s - time_s <= WINDOW_S for time_s in self.received[stream])
            for stream in streams or self.received
        ]
        return max(recent) > MOST

    def _clock(self, now_s) -> None:
        """A tick's time: after a clock that jumps or stands still nothing moves until armed."""
        since_s = math.inf if self.ticked_s is None else now_s - self.ticked_s
        is_early = 0 <= since_s < PERIOD_S / 2
        if is_early and self.early < 2:
            self.early += 1
            return
        has_jumped = self.ticked_s is not None and not 0 < since_s <= JUMP_S
        if is_early or has_jumped or not math.isfinite(now_s):
            self.may_move = False
            self.received = {name: [] for name in self.received}
            self.unread_s = None
        self._look()
        self.early, self.ticked_s = 0, now_s if math.isfinite(now_s) else None

    def _good_cloud(self, age_s) -> None:
        self.unread_s = (self.arm.now_s, self.arm.now_s - age_s)

    def _look(self) -> None:
        self.cloud_s, self.unread_s = self.unread_s or self.cloud_s, None

    def _good_joints(self, age_s) -> None:
        if (np.abs(self.arm.position) <= 1e6).all():
            self.joints_s = (self.arm.now_s, self.arm.now_s - age_s)
            self.measured = self.arm.position.copy()

    def _tick(self, step_s) -> None:
        now_s = self.arm.now_s + step_s
        if math.isfinite(now_s):
            self.arm.now_s = now_s
        self._clock(now_s)
        self._check(self.arm.controller.tick(now_s), now_s)

    def _check(self, command, now_s) -> None:
        if not command.is_sent:
            assert len(command.targets) == 0
            return
        assert np.isfinite(command.targets).all()
        if command.kind is Kind.HOLD:
            assert self.sent is not None
            assert self.sent[0].kind is Kind.MOVE, "one hold, then silence"
            assert len(command.targets) == 1
            if self.is_velocity:
                assert not command.targets.any()
            else:
                assert self._inside(command.targets)
        else:
            self._check_move(command, now_s)
        self.sent = command, now_s

    def _check_move(self, command, now_s) -> None:
        assert self.may_move
        assert self._is_fresh(self.cloud_s, now_s, 0.5, 0.5)
        assert self._is_fresh(self.joints_s, now_s, 0.1, 0.2)
        since_s = math.inf
        if self.sent is not None and self.sent[0].kind is Kind.MOVE:
            since_s = now_s - self.sent[1]
            assert not 0 <= since_s < PERIOD_S / 2 - ROUNDING
        if self.is_velocity:
            (velocity,) = command.targets
            assert (np.abs(velocity) <= FAST + ROUNDING).all()
            if 0 <= since_s < 1.0:
                change = velocity - self.sent[0].targets[0]
                assert (np.abs(change) <= HARD * min(since_s, PERIOD_S) + ROUNDING).all()
            return
        assert self._inside(command.targets)
        assert (np.abs(command.targets[0] - self.measured) <= JUMP + ROUNDING).all()
        steps = np.abs(np.diff(command.targets, axis=0))
        assert (steps <= FAST * PERIOD_S + ROUNDING).all()
        if math.isinf(since_s):  # from rest
            step = np.abs(command.targets[0] - self.measured)
            assert (step <= FAST * PERIOD_S + ROUNDING).all()
        elif PERIOD_S / 2 <= since_s <= PERIOD_S and len(command.targets) == 1:
            step = np.abs(command.targets[0] - self.sent[0].targets[0])
            assert (step <= FAST * since_s + ROUNDING).all()

    def _inside(self, targets) -> bool:
        return bool(((targets >= LOW) & (targets <= HIGH)).all())

    @staticmethod
    def _is_fresh(times_s, now_s, timeout_s, max_age_s) -> bool:
        received_s, stamp_s = times_s
        fresh = now_s - received_s <= timeout_s and -0.05 <= now_s - stamp_s <= max_age_s
        return fresh and now_s - received_s >= -0.05


@pytest.mark.parametrize("kind", ["joint_position", "joint_displacement", "joint_velocity"])
@given(
    violation=st.sampled_from(["refuse", "clamp"]),
    points=st.sampled_from([1, 3]),
    course=st.lists(events, min_size=10, max_size=40),
)
@settings(max_examples=60, deadline=None)
def test_no_course_of_events_yields_a_command_that_is_not_allowed(kind, violation, points, course):
    watched = Watched(kind, violation, points)
    for name, value in course:
        watched.apply(name, value)


def test_a_quiet_course_moves_so_that_the_property_above_says_something():
    watched = Watched("joint_position", "refuse", 1)
    watched.apply("policy", (True, 0.05, -0.05, 0.0, 0.0))
    watched.apply("run", 5)
    assert watched.sent[0].kind is Kind.MOVE
