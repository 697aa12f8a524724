"""Faults over real ROS 2: after each one hold, then nothing, and the diagnostics say what is wrong.

More of them, with a simulated robot: ``python -m benchmarks.ros.faults``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from deployment.serving import Slowed, running
from mfpolicy.pointcloud import PointCloudRecipe
from mfpolicy.policy import Policy
from oracles.robot_arm import LIMITS
from oracles.ros_environments import ros_environments
from oracles.ros_processes import Asked, ros
from oracles.small_policy import small_policy

PARAMETERS = {
    "cloud_topic": "/cloud", "cloud_frame": "camera", "command_topic": "/commands",
    "camera_position": [0.0, 0.0, 0.0],
    "joints": ["a", "b"], "violation": "clamp", "dry_run": False, "min_points": 8,
    "state": ["position/a", "position/b", "velocity/a", "velocity/b", "effort/a"],
    "decision_wait_s": 0.08, "policy_timeout_s": 0.7, "joints_timeout_s": 0.5,
    "joints_max_age_s": 0.5, "cloud_timeout_s": 0.5, "cloud_max_age_s": 0.5,
    "disarm_after_s": 60.0, "diagnostics_hz": 5.0, "cloud_max_hz": 30.0, "joints_max_hz": 150.0,
    **LIMITS,
}  # fmt: skip
SETTLE_S, WATCHED_S = 1.2, 0.5
SENSORS = {
    "joints_stall": ("stale_joints", "stale_joints"),
    "nan_cloud": ("too_few_points", "stale_cloud"),
    "garbage": ("bad_cloud", "stale_cloud"),
    "wrong_frame": ("wrong_frame", "stale_cloud"),
    "stamps_ahead": ("future_cloud", "future_cloud"),
}
"""By fault: what is counted, and what the line of the diagnostics says."""


@pytest.fixture(scope="module")
def policy():
    recipe = PointCloudRecipe("front", (0, 0, 0), 84, (-1, -1, 0), (1, 1, 2), points=8)
    spec = small_policy("regression").spec
    spec = dataclasses.replace(spec, recipe=recipe.to_dict(), control_rate_hz=10.0)
    return Slowed(policy=Policy(spec).eval())


def _moves(ask: Asked) -> None:
    """Arms, until the robot moves."""
    for _ in range(60):
        ask("arm")
        if ask("spin 0.4")["commands"] >= 2:
            return
    raise AssertionError(ask("spin 0.1"))


def _held(ask: Asked) -> dict:
    """What the diagnostics say, when nothing is commanded any more."""
    ask(f"spin {SETTLE_S}")
    said = ask(f"spin {WATCHED_S}")
    assert said["commands"] == 0, said
    return said


@pytest.mark.ros
@pytest.mark.timeout(1500)
def test_each_fault_is_answered_by_a_hold_and_named(policy, tmp_path):
    environments = ros_environments()
    file = tmp_path / "robot.yaml"
    with running(policy) as server:
        told = {"/**": {"ros__parameters": {**PARAMETERS, "server": server.url}}}
        file.write_text(yaml.safe_dump(told))
        words = ["-m", "real_robot.ros2.node", "--ros-args", "--params-file", file]
        node = ros(environments, "kilted", *words, domain=3)
        ask = Asked(ros(environments, "jazzy", Path(__file__).with_name("ros_faulty.py"), domain=3))
        try:
            assert ask("configure")
            assert ask("activate")
            for fault, (counted, line) in SENSORS.items():
                _moves(ask)
                ask(f"fault {fault}")
                said = _held(ask)
                assert (line in said["message"], said["level"]) == (True, 2), (fault, said)
                assert int(said[f"refusals/{counted}"]) > 0, (fault, said)
                ask("fault none")

            _moves(ask)
            policy.seconds = 2.0
            said = _held(ask)
            policy.seconds = 0.0
            assert int(said["refusals/policy_overrun"]) > 0, said
            assert said["message"].startswith("armed, refusing: policy_"), said

            _moves(ask)
            ask("fault flood")
            said = _held(ask)
            assert said["message"].startswith("disarmed: flood_"), said
            assert ask("stop")["ok"], "and it can be stopped meanwhile"
            assert "stopped" in _held(ask)["message"]
            ask("fault none")

            assert ask("reset")["ok"]
            _moves(ask)
            node.kill()
            assert ask("spin 1.0")["commands"] <= 2
        finally:
            for process in (ask.process, node):
                process.kill()
                process.communicate()
