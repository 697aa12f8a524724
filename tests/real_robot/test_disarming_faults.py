"""A clock that jumps or stops, and a flood of messages: one hold, and silence until it is armed."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from oracles.robot_arm import FACTS, PERIOD_S, Arm
from real_robot.command import Kind
from real_robot.status import Level, Meters, describe

TARGET = np.array([[0.05, -0.05]] * 4)
RATES = {"cloud_max_hz": 40.0, "joints_max_hz": 40.0, "tool_max_hz": 40.0}
STREAMS = ("cloud", "joints", "tool", "color", "camera_info")


def moving(**changes) -> Arm:
    """An arm that is being moved."""
    arm = Arm(lambda _: TARGET, **changes)
    arm.arm()
    assert [arm.tick().kind for _ in range(2)] == [Kind.MOVE] * 2
    return arm


def line(arm: Arm) -> tuple[Level, str]:
    return describe(arm.controller, Meters(), arm.now_s)[:2]


def jump_by(seconds):
    def jump(arm):
        before = arm.now_s
        command = arm.controller.tick(before + seconds)
        arm.now_s = before if math.isnan(seconds) else before + seconds
        return command

    return jump


def stand_still(arm):
    commands = [arm.controller.tick(arm.now_s) for _ in range(3)]
    assert [each.kind for each in commands[:2]] == [Kind.SILENT] * 2
    return commands[-1]


CLOCKS = {
    "forward": jump_by(60.0), "back": jump_by(-50.0), "no number": jump_by(math.nan),
    "still": stand_still, "no ticks": lambda arm: arm.controller.guard.clock_stopped(arm.now_s),
}  # fmt: skip


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_clock_that_jumps_or_stops_disarms_until_somebody_arms(clock):
    arm = moving()
    place = arm.position.tolist()
    command = CLOCKS[clock](arm)
    assert (command.kind, command.cause) == (Kind.HOLD, "clock")
    assert command.targets.tolist() == [place]
    assert [arm.tick().kind for _ in range(20)] == [Kind.SILENT] * 20
    assert line(arm) == (Level.ERROR, "disarmed: clock")
    assert arm.arm().ok
    assert arm.tick().kind is Kind.MOVE
    assert line(arm) == (Level.OK, "armed")


def test_after_a_jump_inputs_of_before_it_do_not_let_it_arm():
    arm = moving()
    jump_by(-0.5)(arm)
    assert "no_cloud" in arm.controller.arm(arm.now_s).message


def test_a_clock_that_jumped_since_the_last_tick_does_not_let_it_arm_for_the_next():
    arm = moving()
    arm.controller.disarm()
    arm.tick()
    arm.now_s -= 5.0
    assert "ticks must come" in arm.arm().message
    assert arm.tick().cause == "clock"
    assert arm.arm().ok
    assert arm.tick().kind is Kind.MOVE


@pytest.mark.parametrize("period_s", [0.5 * PERIOD_S + 1e-6, 3 * PERIOD_S, 1.0])
def test_within_the_tolerance_a_clock_is_no_fault(period_s):
    arm = moving(cloud_timeout_s=2.0, joints_timeout_s=2.0)
    arm.tick(period_s=period_s)
    assert arm.controller.guard.is_armed
    assert "clock" not in arm.counts


def test_time_in_which_no_ticks_were_due_is_no_jump():
    arm = moving()
    arm.controller.disarm()
    arm.controller.halt(arm.now_s)
    arm.now_s += 100.0
    reply = arm.arm()
    assert (reply.ok, "ticks must come" in reply.message) == (False, True)
    arm.controller.guard.ticks_begin()  # the node is activated again
    assert arm.arm().ok
    assert arm.tick().kind is Kind.MOVE


def flood(arm: Arm, stream: str, count: int) -> None:
    """Messages of a stream, between two ticks."""
    now = {"now_s": arm.now_s}
    for _ in range(count):
        if stream == "cloud":
            arm.cloud()
        elif stream == "joints":
            arm.joints()
        elif stream == "tool":
            arm.controller.on_tool([0.0, 0.0, 0.5], stamp_s=arm.now_s, **now)
        else:
            arm.controller.came("cloud", arm.now_s, stream)


def tool_arm(**changes) -> Arm:
    """An arm whose state has the place of the tool."""
    arm = Arm(lambda _: TARGET, facts=dataclasses.replace(FACTS, state_dim=3), tool_timeout_s=9.0,
              tool_max_age_s=9.0, state=["position/a", "position/b", "tool/x"],
              **changes)  # fmt: skip
    flood(arm, "tool", 1)
    assert arm.arm().ok
    assert arm.tick().kind is Kind.MOVE
    return arm


@pytest.mark.parametrize("stream", STREAMS)
def test_a_flood_of_messages_disarms_and_is_named(stream):
    arm = tool_arm(**RATES)
    name = stream if stream in ("joints", "tool") else "cloud"
    flood(arm, stream, 41)
    commands = [arm.tick() for _ in range(20)]
    assert [each.kind for each in commands] == [Kind.HOLD] + [Kind.SILENT] * 19
    assert line(arm) == (Level.ERROR, f"disarmed: flood_{name}")
    assert arm.counts[f"flood_{name}"] == 1
    assert stream in describe(arm.controller, Meters(), arm.now_s)[2]["fault"]
    flood(arm, "tool", 1)
    assert arm.arm().ok
    assert arm.tick().kind is Kind.MOVE


def test_it_does_not_arm_while_the_flood_lasts():
    arm = moving(**RATES)
    for _ in range(12):
        flood(arm, "joints", 10)
        arm.tick()
    assert "flood_joints" in arm.arm().message
    assert "joints: flood_joints" in describe(arm.controller, Meters(), arm.now_s)[2]["inputs"]
    for _ in range(11):
        arm.tick()
    assert arm.arm().ok


def test_messages_of_another_frame_or_of_nonsense_flood_as_well():
    arm = moving(**RATES)
    for _ in range(41):
        arm.cloud(frame_id="elsewhere")
    assert arm.tick().kind is Kind.HOLD
    assert line(arm)[1] == "disarmed: flood_cloud"


def test_by_default_fast_cameras_and_drivers_are_no_flood():
    """90 clouds a second, and joints at 1 kHz that come in bunches after a busy moment."""
    arm = moving()
    for _ in range(25):
        for _ in range(9):
            arm.cloud()
        flood(arm, "joints", 100)
        assert arm.tick().kind is Kind.MOVE
    flood(arm, "cloud", 30)
    flood(arm, "joints", 500)
    assert arm.tick().kind is Kind.MOVE
