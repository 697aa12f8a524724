"""The closed loop over real ROS 2: the controller on Jazzy drives a simulated robot on Kilted."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import envs
from deployment.serving import running
from envs.suites import suite_of
from evaluation.run_folders import write_run
from mfpolicy.cli import main
from mfpolicy.deployment.chunk_policy import EagerChunkPolicy
from mfpolicy.evaluation import wilson_interval
from mfpolicy.policy import Policy
from mfpolicy.types import XYZRGB
from oracles.ros_environments import ros_environments
from oracles.running import is_running
from oracles.small_policy import small_policy
from real_robot.simulated import Bridge, LoopPlace, SimulatedRobot, bridge_parameters, ros_python

STEPS, STEPS_HZ = 15, 10.0
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
            point_dim=XYZRGB,
            state_dim=spec.state_dim,
            action_dim=spec.action_dim,
        )
    ).eval()


def _driven(environments, folder, policy, *, camera):
    """One episode over ROS: its trace, the report of its driver, the last diagnostics."""
    place = LoopPlace(folder)
    task = policy.spec.task
    with (
        running(policy) as server,
        SimulatedRobot(
            place, ros_python("kilted", environments), task,
            steps_hz=STEPS_HZ, camera=camera, color=True, horizon=STEPS,
        ) as robot,
        Bridge(
            place, ros_python("jazzy", environments),
            bridge_parameters(
                robot.world, camera=camera, server=server.url, steps_hz=STEPS_HZ
            ),
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
)  # colors beside the depth image, and within the cloud
def test_what_drives_the_robot_is_what_the_policy_decides_in_process(
    environments, tmp_path, task, camera
):
    policy = Remembering(_policy(task))
    trace, report, diagnostics = _driven(environments, tmp_path, policy, camera=camera)
    assert trace["result"]["steps"] == STEPS
    assert report["commands"] >= STEPS - trace["result"]["holds"]
    assert diagnostics["message"].startswith(("armed", "disarmed"))

    decided = np.concatenate([np.clip(actions, -1, 1) for _, actions in policy.decisions])
    targets = np.array(report["targets"])
    if task.startswith("metaworld"):
        executed, decided = np.diff(targets, axis=0) / 0.01, decided[:, :3]
    else:
        low, high = np.array(_interface(task).lower), np.array(_interface(task).upper)
        executed = (targets - (low + high) / 2) / (high - low) * 2
    apart = np.abs(executed[:, None] - decided[None]).max(axis=2).min(axis=1)
    assert apart.max() < 1e-4, "every command is an action of a decision"

    env = envs.make(task, color=True)
    frames = [env.reset(seed=7)[0]]
    for action in trace["actions"]:
        env.simulate(np.array(action, np.float32))
        frames.append(env.observe())
    env.close()
    states = np.array([frame["agent_pos"] for frame in frames])
    apart_steps = []
    for seen, actions in policy.decisions[: STEPS // 3]:
        places = [int(np.abs(states - state).max(axis=1).argmin()) for state in seen["agent_pos"]]
        apart_steps.append(places[1] - places[0])
        here = {
            name: np.stack([frames[place][name] for place in places])[None] for name in frames[0]
        }
        np.testing.assert_allclose(seen["agent_pos"], here["agent_pos"][0], atol=1e-4)
        apart = np.abs(seen["point_cloud"] - here["point_cloud"][0]).max(axis=(0, 1))
        assert apart[:3].max() < 1e-3
        assert apart[3:].max() == 0, "colors are whole numbers"
        assert len(np.unique(seen["point_cloud"][..., 3:])) > 10
        in_process = EagerChunkPolicy(_policy(task))(here)[0]
        np.testing.assert_allclose(actions, in_process, atol=1e-3)
    # Two clocks of a busy machine: a tick that comes late may find two steps of the robot.
    assert min(apart_steps) >= 0, "frames are in order"
    assert np.median(apart_steps) in (0, 1), "and a step apart, the first of them stands twice"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    suite = suite_of("metaworld/reach")
    write_run(
        folder,
        state_dim=9,
        action_dim=4,
        task="metaworld/reach",
        control_rate_hz=80.0,
        recipe=suite.recipes["metaworld/reach"].to_dict(),
        points=512,
    )
    return folder


def test_the_command_drives_the_robot_and_sums_it_up(environments, run, tmp_path):
    words = ["robot=sim_ros2", "episodes=2", f"out={tmp_path}", f"environments={environments}"]
    words += ["horizon=4", "bridge=kilted", "peer=jazzy", "compare=false", "device=cpu"]
    assert main(["robot", str(run), *words]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["episodes"], summary["seeds"], summary["steps"]) == (2, [10000, 10001], 8)
    rate = summary["success_rate"]
    assert rate["n"] == 2
    assert rate["interval"] == list(wilson_interval(rate["k"], 2))
    assert summary["ros"]["bridge"]["distribution"] == "kilted"
    assert summary["ros"]["peer"]["rclpy"] == "7.1.6"
    assert summary["command_interval_ms"]["std"] >= 0
    assert 0 < summary["frame_to_command_ms"]["p50"] <= summary["frame_to_command_ms"]["p99"]
    assert 0 < summary["realtime_factor"]["reached"] < 1
    assert "disarmed" in summary["refusals"]
    lines = (tmp_path / "episodes.jsonl").read_text().splitlines()
    assert [json.loads(line)["result"]["seed"] for line in lines] == [10000, 10001]


STARTER = """
import pathlib, sys, time
from real_robot.simulated import LoopPlace, SimulatedRobot
place = LoopPlace(pathlib.Path(sys.argv[1]))
robot = SimulatedRobot(place, pathlib.Path(sys.argv[2]), "metaworld/reach", steps_hz=10)
print(robot.process.pid, flush=True)
time.sleep(600)
"""


def test_a_command_that_is_killed_leaves_no_robot(environments, tmp_path):
    words = [str(tmp_path), str(ros_python("kilted", environments))]
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, *words], stdout=subprocess.PIPE, text=True
    )
    with starter:
        driver = int(starter.stdout.readline())
        (world,) = Path(f"/proc/{driver}/task/{driver}/children").read_text().split()
        starter.kill()
    for _ in range(300):
        if not (is_running(driver) or is_running(world)):
            return
        time.sleep(0.1)
    raise AssertionError(f"{driver} or {world} is still there")


def test_without_an_environment_the_command_says_how_to_make_one(run, tmp_path, capsys):
    words = [f"environments={tmp_path}/none", f"out={tmp_path}/out"]
    assert main(["robot", str(run), *words]) == 2
    said = capsys.readouterr().err
    assert "scripts/ros_environments.sh" in said
    assert str(tmp_path / "none" / "jazzy") in said
    assert not (tmp_path / "out").exists()


def _interface(task):
    from envs.robot import World

    world = World(envs.make(task))
    world.env.close()
    return world.body.interface
