"""A task as a robot: what is commanded leads to the actions that it came from."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import envs
from envs.robot import World
from envs.robot.world import Phase
from mfpolicy.pipes import read_message, write_message

TASKS = ("metaworld/reach", "adroit/pen")
STEPS = 6


@pytest.fixture(scope="module", params=TASKS)
def world(request):
    world = World(envs.make(request.param, horizon=STEPS, points=64))
    yield world
    world.env.close()


def _actions(world):
    size = world.env.spec_task.action_dim
    return np.random.default_rng(0).uniform(-1, 1, (STEPS, size)).astype(np.float32)


def _commands(world, actions):
    """Targets and gripper of actions, as a controller makes them of its robot's interface."""
    told = world.body.interface
    values = actions * told.action_scale + told.action_offset
    axes = [n for n in range(actions.shape[1]) if n != told.gripper_column]
    if told.action_kind == "tool_displacement":
        return world.body.measured().tool + np.cumsum(values[:, axes], axis=0), values[:, 3]
    return values[:, axes], [None] * len(values)


def test_commands_are_executed_as_the_actions_they_came_from(world):
    actions = _actions(world)
    world.env.reset(seed=3)
    for action in actions:
        world.env.simulate(action)
    wanted = world.env.simulation.full_state()
    world.reset(3)
    world.listen()
    for target, gripper in zip(*_commands(world, actions), strict=True):
        world.command(target)
        if gripper is not None:
            world.grip(gripper)
        world.advance()
    np.testing.assert_allclose(world.actions, actions, atol=1e-5)
    np.testing.assert_allclose(world.env.simulation.full_state(), wanted, atol=1e-4)
    assert world.phase is Phase.ENDED
    assert (world.result.seed, world.result.steps, world.result.holds) == (3, STEPS, 0)


def test_the_state_that_sensors_tell_is_the_policys(world):
    world.reset(4)
    measured = world.body.measured()
    told = dict(zip(measured.names, measured.position, strict=True))
    if measured.tool is not None:
        told |= dict(zip("xyz", measured.tool, strict=True))
    state = [told[name.partition("/")[2]] for name in world.body.interface.state]
    np.testing.assert_array_equal(np.float32(state), world.env.observe()["agent_pos"])


def test_nothing_moves_before_the_first_command_and_after_the_last_step(world):
    world.reset(5)
    before = world.env.simulation.full_state()
    target = _commands(world, _actions(world))[0][0]
    world.command(target)  # deaf: of the episode before
    world.advance()
    world.listen()
    world.advance()
    np.testing.assert_array_equal(world.env.simulation.full_state(), before)
    assert world.phase is Phase.LISTENING
    for _ in range(STEPS):
        world.command(target)
        world.advance()
    after = world.env.simulation.full_state()
    world.command(target)
    world.advance()
    np.testing.assert_array_equal(world.env.simulation.full_state(), after)


def test_a_robot_that_nobody_commands_rests_where_it_was_told_to_be():
    world = World(envs.make("metaworld/reach", horizon=120, points=64))
    world.reset(0)
    world.listen()
    target = world.body.measured().tool + [0.03, 0.0, 0.02]
    world.command(target)
    for _ in range(120):
        world.advance()
    measured = world.body.measured()
    assert np.abs(world.actions[10:]).max() == 0
    assert measured.speed < 0.01
    np.testing.assert_allclose(measured.tool, target, atol=6e-3)  # see envs/robot/sawyer.py
    assert world.result.holds == 119
    world.env.close()


def test_the_process_keeps_time_and_ends_when_nobody_is_there():
    process = subprocess.Popen(
        [sys.executable, "-m", "envs.robot"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        wanted = {"task": "metaworld/reach", "clock": "simulated", "steps_hz": 100, "horizon": 2}
        write_message(process.stdin, wanted)
        world, _ = read_message(process.stdout)
        assert (world["say"], world["rate_hz"], world["clock"]) == ("world", 80, "simulated")
        for what in ({"do": "reset", "seed": 1}, {"do": "listen"}):
            write_message(process.stdin, what)
        write_message(process.stdin, {"do": "command", "target": [0.0, 0.6, 0.2]})
        said = []
        while not said or said[-1]["say"] != "ended":
            head, arrays = read_message(process.stdout)
            said.append(head)
            assert head["say"] != "frame" or arrays["depth"].shape == (128, 128)
        assert said[-1]["result"]["steps"] == 2
        stamps = [each["ns"] for each in said if each["say"] == "frame"]
        assert set(np.diff(stamps)) == {12_500_000}
        clock = [each["ns"] for each in said if each["say"] == "clock"]
        assert set(np.diff(clock)) == {1_250_000}
        process.stdin.close()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
