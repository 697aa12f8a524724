"""What a suite calls vectors in the world frame are, in its simulation."""

import numpy as np
import pytest

import envs
from envs.suites import load_suite, suite_names
from mfpolicy.config.suites import world_vectors

TASK_OF = {suite: next(iter(load_suite(suite).tasks)) for suite in suite_names()}
NAMED = [task for task in TASK_OF.values() if world_vectors(task) is not None]


def test_metaworld_names_its_vectors_and_adroit_has_none():
    assert [task.partition("/")[0] for task in NAMED] == ["metaworld"]
    assert world_vectors("my-robot/pour") is None


@pytest.mark.parametrize("task", NAMED)
def test_each_displacement_moves_each_position_along_its_axis_of_the_world(task):
    vectors, spec = world_vectors(task), envs.spec(task)
    simulation = envs.open_simulation(task)
    for displacement in vectors.action_displacements:
        for axis, place in enumerate(displacement):
            simulation.reset(0)
            before = simulation.agent_pos()
            action = np.zeros(spec.action_dim, np.float32)
            action[place] = 0.5
            for _ in range(10):
                simulation.step(action)
            moved = simulation.agent_pos() - before
            for position in vectors.state_positions:
                way = moved[list(position)]
                assert way[axis] > 0.005
                assert np.abs(np.delete(way, axis)).max() < 0.35 * way[axis]
    simulation.close()
