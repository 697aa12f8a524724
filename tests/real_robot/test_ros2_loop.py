"""The closed loop over real ROS 2: the controller on Jazzy drives a simulated robot on Kilted."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest

import envs
from deployment.serving import running
from envs.suites import suite_of
from mfpolicy.deployment.chunk_policy import EagerChunkPolicy
from mfpolicy.policy import Policy
from oracles.ros_environments import ros_environments
from oracles.small_policy import small_policy
from real_robot.simulated import Bridge, LoopPlace, SimulatedRobot, bridge_parameters, ros_python

STEPS = 15
pytestmark = [pytest.mark.ros, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def environments():
    return ros_environments()


class Remembering:
    """A policy that keeps what it saw and what it decided."""

    def __init__(self, policy):
        self._decide = EagerChunkPolicy(policy)
        self.spec = policy.spec
        self.decisions = []

    def __call__(self, observation, *, noise=None):
        actions = self._decide(observation, noise=noise)
        seen = {name: np.array(part[0]) for name, part in observation.items()}
        self.decisions.append((seen, np.array(actions[0])))
        return actions


def _policy(task):
    suite = suite_of(task)
    spec, recipe = suite.tasks[task], suite.recipes[task]
    return Policy(
        dataclasses.replace(
            small_policy("regression").spec,
            recipe=recipe.to_dict(),
            points=recipe.points,
            task=task,
            control_rate_hz=spec.control_rate_hz,
            state_dim=spec.state_dim,
            action_dim=spec.action_dim,
        )
    ).eval()


def _driven(environments, folder, policy, *, camera):
    """One episode over ROS: its trace, the report of its driver, the last diagnostics."""
    place = LoopPlace(folder, domain_id=1 + os.getpid() % 100)
    task = policy.spec.task
    with (
        running(policy) as server,
        SimulatedRobot(
            place, ros_python("kilted", environments), task,
            steps_hz=10, camera=camera, horizon=STEPS,
        ) as robot,
        Bridge(
            place, ros_python("jazzy", environments),
            bridge_parameters(robot.world, camera=camera, server=server.url),
        ),
    ):  # fmt: skip
        robot.change("configure")
        del policy.decisions[:]  # those that warmed it
        robot.change("activate")
        robot.begin(seed=7)
        robot.arm()
        robot.ended(60)
        report, trace = robot.report(), robot.trace()
        robot.serve("disarm")
        return trace, report, robot.diagnostics()


@pytest.mark.parametrize(
    ("task", "camera"), [("metaworld/reach", "depth"), ("adroit/pen", "cloud")]
)
def test_what_drives_the_robot_is_what_the_policy_decides_in_process(
    environments, tmp_path, task, camera
):
    policy = Remembering(_policy(task))
    trace, report, diagnostics = _driven(environments, tmp_path, policy, camera=camera)
    assert trace["result"]["steps"] == STEPS
    assert report["commands"] >= STEPS - trace["result"]["holds"]
    assert diagnostics["message"] in ("armed", "disarmed")

    decided = np.concatenate([np.clip(actions, -1, 1) for _, actions in policy.decisions])
    targets = np.array(report["targets"])
    if task.startswith("metaworld"):
        executed, decided = np.diff(targets, axis=0) / 0.01, decided[:, :3]
    else:
        low, high = np.array(_interface(task).lower), np.array(_interface(task).upper)
        executed = (targets - (low + high) / 2) / (high - low) * 2
    apart = np.abs(executed[:, None] - decided[None]).max(axis=2).min(axis=1)
    assert apart.max() < 1e-4, "every command is an action of a decision"

    env = envs.make(task)
    frames = [env.reset(seed=7)[0]]
    for action in trace["actions"]:
        env.simulate(np.array(action, np.float32))
        frames.append(env.observe())
    env.close()
    states = np.array([frame["agent_pos"] for frame in frames])
    for seen, actions in policy.decisions[: STEPS // 3]:
        places = [int(np.abs(states - state).max(axis=1).argmin()) for state in seen["agent_pos"]]
        assert places[1] - places[0] in (0, 1)
        here = {
            name: np.stack([frames[place][name] for place in places])[None] for name in frames[0]
        }
        np.testing.assert_allclose(seen["agent_pos"], here["agent_pos"][0], atol=1e-4)
        np.testing.assert_allclose(seen["point_cloud"], here["point_cloud"][0], atol=1e-3)
        in_process = EagerChunkPolicy(_policy(task))(here)[0]
        np.testing.assert_allclose(actions, in_process, atol=1e-3)


def _interface(task):
    from envs.robot import World

    world = World(envs.make(task))
    world.env.close()
    return world.body.interface
