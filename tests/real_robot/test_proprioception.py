"""Proprioception: numbers that come in parts, each with its own time."""

from __future__ import annotations

import pytest

from oracles.robot_arm import parameters
from real_robot.core.proprioception import JointMessage, Proprioception


def test_a_state_is_as_old_as_its_oldest_number():
    said = Proprioception(parameters(state=["position/a", "position/b", "tool/x"]))
    said.tool([0.5, 0, 0], 1.0)
    said.joints(JointMessage(["a"], [1.0]), 1.1, 1.1)
    said.joints(JointMessage(["b"], [2.0]), 1.2, 1.2)
    said.tool([0.6, 0, 0], 1.3)
    said.joints(JointMessage(["a"], [3.0]), 1.4, 1.4)
    near = [said.state(stamp_s) for stamp_s in (1.0, 1.1, 1.2)]
    assert [state.tolist() for state in near if state is not None] == [
        pytest.approx([1, 2, 0.5]), pytest.approx([1, 2, 0.6]), pytest.approx([3, 2, 0.6]),
    ]  # fmt: skip


def test_of_states_with_one_stamp_the_last_counts():
    said = Proprioception(parameters())
    said.joints(JointMessage(["a", "b"], [1.0, 2.0]), 1.0, 1.0)
    said.joints(JointMessage(["a"], [3.0]), 1.5, 1.5)
    assert said.state(1.0).tolist() == [3, 2]


def test_a_position_without_its_velocity_ends_the_velocity_of_before():
    said = Proprioception(parameters())
    said.joints(JointMessage(["a", "b"], [0.0, 0.0], [0.5, 0.6]), 1.0, 1.0)
    said.joints(JointMessage(["a"], [0.1]), 1.1, 1.1)
    assert said.measured()[1].tolist() == [0, 0.6]


def test_velocities_of_the_state_may_come_by_themselves_and_are_watched_by_their_age():
    said = Proprioception(parameters(state=["position/a", "velocity/a"]))
    said.joints(JointMessage(["a", "b"], [0.0, 0.0], [0.5, 0.6]), 1.0, 1.0)
    times = said.joints(JointMessage(["a"], [0.1]), 1.1, 1.2)
    assert said.state(1.0).tolist() == pytest.approx([0.1, 0.5])
    assert times == (1.0, 1.0)
