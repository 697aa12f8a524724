from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from evaluation.fakes import TASK
from mfpolicy.errors import ConfigError
from mfpolicy.evaluation.motion import action_kinds, rms_jerk_per_s3, standing_still

RATE_HZ = 20.0
TIMES = np.arange(40) / RATE_HZ


def jerk(columns, kinds) -> float | None:
    return rms_jerk_per_s3(list(np.stack(columns, axis=1)), np.array(kinds), RATE_HZ)


def test_a_cubic_has_the_jerk_of_its_third_derivative():
    assert jerk([2 * TIMES**3 + TIMES**2 - 1], ["position"]) == pytest.approx(12, rel=1e-6)


def test_displacements_have_the_jerk_of_the_positions_they_lead_to():
    positions = np.random.default_rng(0).normal(size=(40, 2))
    steps = np.diff(positions, axis=0, prepend=np.zeros((1, 2)))
    by_steps = jerk(steps.T, ["displacement"] * 2)
    assert by_steps == pytest.approx(jerk(positions.T, ["position"] * 2), rel=1e-9)


def test_dimensions_add_their_squares_and_effort_is_no_motion():
    cubic, quartic = TIMES**3, 0.5 * TIMES**3
    both = jerk([cubic, quartic], ["position", "position"])
    assert both == pytest.approx(np.hypot(6, 3), rel=1e-6)
    shaking = np.tile([1.0, -1.0], 20)
    assert jerk([cubic, shaking], ["position", "effort"]) == pytest.approx(6, rel=1e-6)


@pytest.mark.parametrize("power", [0, 1, 2])
def test_what_accelerates_evenly_has_no_jerk(power):
    assert jerk([TIMES**power], ["position"]) == pytest.approx(0, abs=1e-6)


def test_too_short_or_motionless_has_none():
    assert jerk([TIMES[:3]], ["position"]) is None
    assert jerk([TIMES], ["effort"]) is None


def test_standing_still_keeps_position_and_effort():
    kinds = np.array(["displacement", "position", "effort"])
    assert standing_still(np.array([0.5, 0.25, 1.0]), kinds).tolist() == [0, 0.25, 1.0]
    assert standing_still(None, kinds).tolist() == [0, 0, 0]


def test_a_task_that_says_nothing_moves_by_position():
    assert action_kinds(TASK).tolist() == ["position", "position"]


@pytest.mark.parametrize("kinds", [("position",), ("position", "torque")])
def test_kinds_that_do_not_fit_are_refused(kinds):
    with pytest.raises(ConfigError, match="action_kinds must name each of 2"):
        action_kinds(dataclasses.replace(TASK, action_kinds=kinds))
