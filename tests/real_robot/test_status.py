"""The line of the diagnostics names what keeps the robot from moving, the values what was met."""

from __future__ import annotations

import time

import numpy as np
import pytest

from oracles.robot_arm import PERIOD_S, Arm
from oracles.withheld import Withheld
from real_robot.command import Kind
from real_robot.core import InlineDecider
from real_robot.status import Level, Meters, describe

NEAR = np.full((4, 2), 0.05)


def said(arm: Arm) -> tuple[Level, str, dict[str, str]]:
    return describe(arm.controller, Meters(), arm.now_s)


def failed(_):
    raise RuntimeError("no weights")


@pytest.mark.parametrize(
    ("decide", "cause", "met"),
    [
        (failed, "policy_error", "RuntimeError: no weights"),
        (lambda _: np.full((4, 2), np.nan), "nan_action", "finite"),
        (lambda _: np.zeros((4, 3)), "nan_action", "3"),
    ],
)
def test_a_policy_that_fails_is_named_until_it_moves_the_robot_again(decide, cause, met):
    arm = Arm(lambda _: NEAR, disarm_after_s=60.0)
    arm.arm()
    assert arm.tick().kind is Kind.MOVE
    arm._decide = decide
    for _ in range(6):
        arm.tick()
    level, line, values = said(arm)
    assert (level, line) == (Level.ERROR, f"armed, refusing: {cause}")
    assert met in values["refusing"]
    arm._decide = lambda _: NEAR
    assert arm.tick().kind is Kind.MOVE
    level, line, values = said(arm)
    assert (level, line, values["refusing"]) == (Level.OK, "armed", "none")


def test_a_policy_that_is_too_slow_is_named_while_the_next_decision_is_under_way():
    decider = Withheld(lambda _: time.sleep(0.02) or NEAR[None])
    arm = Arm(decider=decider, policy_timeout_s=0.01, disarm_after_s=60.0)
    arm.arm()
    assert arm.tick().cause == "policy_overrun"
    arm = Arm(decider=decider, policy_timeout_s=0.95, disarm_after_s=60.0)
    arm.arm()
    decider.is_withheld = True
    causes = [arm.tick().cause for _ in range(12)]
    assert causes == ["waiting"] * 10 + ["policy_overrun"] * 2
    InlineDecider.answers(decider)  # the late one is there, and another is asked for
    assert arm.tick().cause == "waiting"
    assert said(arm)[:2] == (Level.ERROR, "armed, refusing: policy_overrun")


def test_decisions_that_come_too_late_to_be_executed_are_named():
    arm = Arm(lambda _: NEAR, execute=1)
    arm.arm()
    for _ in range(6):
        arm.now_s += PERIOD_S
        arm.joints()
        arm.cloud(age_s=2.5 * PERIOD_S)
        command = arm.controller.tick(arm.now_s)
    assert command.cause == "waiting"
    assert said(arm)[:2] == (Level.WARN, "armed, refusing: late_decision")


def test_refused_actions_are_named_and_do_not_raise_the_level_to_an_error():
    arm = Arm(lambda _: NEAR * [1, 60], disarm_after_s=0.5)
    arm.arm()
    arm.tick()
    assert said(arm)[:2] == (Level.WARN, "armed, refusing: position")


def test_what_was_refused_before_it_disarmed_itself_is_named():
    arm = Arm(failed, disarm_after_s=0.5)
    arm.arm()
    for _ in range(20):
        arm.tick()
    level, line, values = said(arm)
    assert (level, line) == (Level.ERROR, "disarmed: auto_disarm after policy_error")
    assert values["fault"] == "auto_disarm after policy_error"
    assert arm.arm().ok
    assert said(arm)[1] == "armed"
