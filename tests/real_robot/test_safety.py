"""Safety: after each fault one hold, then silence, and the cause counted."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from oracles.robot_arm import PERIOD_S, WALL, Arm, wall
from real_robot.command import Kind
from real_robot.parameters import RobotParameters

TARGET = np.array([[0.05, -0.05]] * 4)


def moving(**changes) -> Arm:
    """An arm that is being moved."""
    arm = Arm(lambda _: TARGET, **changes)
    arm.arm()
    assert arm.tick().kind is Kind.MOVE
    assert arm.tick().kind is Kind.MOVE
    return arm


def nan_cloud():
    return dataclasses.replace(
        WALL, data=np.full(64 * 3, np.nan, "<f4").tobytes(), row_step=12 * 64
    )


def only(*names, **clouds):
    """Senses what is named alone, at each tick."""

    def sense(arm):
        if "joints" in names:
            arm.joints()
        if "cloud" in names or clouds:
            arm.cloud(**clouds)

    return sense


def joints(**changes):
    def sense(arm):
        arm.cloud()
        arm.joints(**changes)

    return sense


FAULTS = {
    "stale_cloud": only("joints"),
    "old_cloud": only("joints", age_s=0.6),
    "future_cloud": only("joints", age_s=-0.2),
    "stale_joints": only("cloud"),
    "old_joints": joints(age_s=0.3),
    "future_joints": joints(age_s=-0.2),
    "bad_joints": joints(position=[0.0, math.nan]),
    "wrong_frame": only("joints", frame_id="map"),
    "too_few_points": only("joints", message=nan_cloud()),
    "bad_cloud": only("joints", message=dataclasses.replace(WALL, data=b"garbage")),
}
OTHERS = {
    "too_few_points": [wall(15), wall(depth_m=5.0)],
    "bad_cloud": [None, "text", dataclasses.replace(WALL, fields=[None])],
    "bad_joints": [
        {"position": [0.0]},
        {"position": ["a", "b"]},
        {"velocity": [math.inf, 0.0]},
        {"name": None},
    ],
}


@pytest.mark.parametrize("cause", FAULTS)
def test_each_fault_ends_in_one_hold_and_silence_and_is_counted(cause):
    arm = moving()
    sent = []
    for _ in range(12):
        arm.now_s += PERIOD_S
        FAULTS[cause](arm)
        sent.append(arm.controller.tick(arm.now_s))
    kinds = [each.kind for each in sent]
    first = kinds.index(Kind.HOLD)
    assert first <= 6  # the timeouts, in ticks
    assert kinds.count(Kind.HOLD) == 1
    last = kinds.index(Kind.SILENT) if Kind.SILENT in kinds[:first] else first
    assert Kind.MOVE not in kinds[last:]  # on old clouds, what is decided is past
    assert arm.counts[cause] >= 2
    hold = sent[first].targets
    assert hold.tolist() == [arm.position.tolist()]
    assert sent[first].gripper is None
    assert arm.tick().kind is Kind.MOVE  # it had not lasted long enough to disarm


@pytest.mark.parametrize(
    ("cause", "message"), [(c, m) for c in ("too_few_points", "bad_cloud") for m in OTHERS[c]]
)
def test_clouds_that_cannot_be_used_are_counted(cause, message):
    arm = moving()
    arm.cloud(message)
    arm.controller.tick(arm.now_s + PERIOD_S)
    assert arm.counts[cause] == 1


@pytest.mark.parametrize("changes", OTHERS["bad_joints"][:2] + OTHERS["bad_joints"][3:])
def test_joints_that_cannot_be_used_are_counted(changes):
    arm = moving()
    arm.joints(**changes)
    assert arm.counts["bad_joints"] == 1


def test_an_emergency_stop_lasts_until_it_is_reset_and_leaves_the_arm_disarmed():
    arm = moving()
    arm.controller.stop("button")
    assert arm.controller.halt(arm.now_s).kind is Kind.HOLD  # at once
    assert [arm.tick().kind for _ in range(3)] == [Kind.SILENT] * 3
    assert arm.arm().message.startswith("stopped: button")
    assert arm.controller.reset().ok
    assert arm.tick().cause == "disarmed"
    assert not arm.controller.reset().ok
    assert arm.arm().ok
    assert arm.tick().kind is Kind.MOVE


def test_it_starts_disarmed_and_arms_only_on_fresh_inputs():
    arm = Arm()
    assert arm.tick().cause == "disarmed"
    assert arm.arm().ok
    arm.controller.disarm()
    arm.now_s += 0.7
    arm.joints()
    assert "stale_cloud" in arm.controller.arm(arm.now_s).message
    assert arm.tick().cause == "disarmed"


def test_a_dry_run_decides_and_sends_nothing():
    assert RobotParameters.__dataclass_fields__["dry_run"].default is True
    arm = Arm(lambda _: TARGET, dry_run=True)
    arm.arm()
    commands = [arm.tick() for _ in range(3)]
    assert [each.kind for each in commands] == [Kind.SILENT] * 3
    assert commands[0].preview.tolist() == pytest.approx(TARGET[:1])
    assert arm.counts["dry_run"] == 3
    assert len(arm.seen) == 1


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ([1.01, 0], "position"),
        ([0, 0.5], "velocity"),
        ([0.35, 0], "jump"),
        ([math.nan, 0], "nan_action"),
        ([math.inf, 0], "nan_action"),
    ],
)
def test_targets_outside_a_limit_are_refused(target, cause):
    arm = Arm(lambda _: np.array([target] * 4))
    arm.arm()
    command = arm.tick()
    assert (command.kind, command.cause) == (Kind.SILENT, cause)
    axis = "ab"[int(target[1] != 0)]
    assert cause == "nan_action" or command.detail.startswith(f"{axis}: ")


def test_accelerations_are_limited_from_what_is_commanded_and_measured():
    arm = Arm(lambda _: np.array([[0.05, 0]] * 4), acceleration=[4.0, 4.0])
    arm.arm()
    assert arm.tick().cause == "acceleration"  # 0.5 m/s within 0.1 s
    arm.now_s += PERIOD_S
    arm.cloud()
    arm.joints(velocity=[0.0, 0.3])  # of b and a
    assert arm.controller.tick(arm.now_s).kind is Kind.MOVE


@pytest.mark.parametrize("kind", ["joint_position", "joint_velocity"])
def test_clamping_brings_targets_to_the_nearest_within_limits(kind):
    arm = Arm(lambda _: np.array([[0.8, -9.0]] * 4), action_kind=kind, violation="clamp",
              velocity=[0.5, 1.0])  # fmt: skip
    arm.arm()
    expected = [0.05, -0.1] if kind == "joint_position" else [0.5, -1.0]
    assert arm.tick().targets[0].tolist() == pytest.approx(expected)
    assert arm.counts["clamped"] == 1


def test_velocities_leave_room_to_brake_before_a_position_limit():
    arm = Arm(lambda _: np.array([[1.0, 0]] * 4), action_kind="joint_velocity")
    arm.position = np.array([0.85, 0])
    arm.arm()
    assert arm.tick().kind is Kind.MOVE  # 0.85 + 0.1 + 1 / 40 < 1
    arm.position = np.array([0.9, 0])
    command = arm.tick()
    assert (command.kind, command.cause) == (Kind.HOLD, "position")
    assert command.targets.tolist() == [[0, 0]]


def test_ticks_that_come_too_early_move_nothing():
    arm = moving()
    assert arm.tick(period_s=0.04).cause == "early"
    assert arm.tick(period_s=0.07).kind is Kind.MOVE


def test_refusals_without_end_disarm():
    arm = moving(disarm_after_s=0.5)
    causes = [arm.tick(sense=False).cause for _ in range(20)]
    assert causes[-1] == "disarmed"
    assert arm.counts["auto_disarm"] == 1
    assert arm.tick().cause == "disarmed"


def test_a_hold_for_an_arm_measured_outside_its_limits_stays_inside():
    arm = moving()
    arm.position = np.array([1.5, 0])
    command = arm.tick()
    assert (command.kind, command.cause) == (Kind.HOLD, "jump")
    assert command.targets.tolist() == pytest.approx(TARGET[:1])


def test_of_many_messages_the_newest_alone_is_read_at_a_tick():
    arm = moving()
    reads = []
    look = arm.controller.perception.seen
    arm.controller.perception.seen = lambda *seen: reads.append(seen) or look(*seen)
    for _ in range(100):
        arm.cloud()
        arm.joints()
    arm.now_s += PERIOD_S
    arm.joints()
    assert arm.controller.tick(arm.now_s).kind is Kind.MOVE
    assert len(reads) == 1
