"""The node over real ROS 2: the controller in one distribution, the robot in the other."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml

from deployment.serving import running
from mfpolicy.deployment.chunk_policy import EagerChunkPolicy
from mfpolicy.pointcloud import PointCloudRecipe
from mfpolicy.policy import Policy
from oracles.robot_arm import LIMITS
from oracles.ros_environments import ros_environments
from oracles.ros_processes import played, ros
from oracles.small_policy import small_policy

PARAMETERS = {
    "cloud_topic": "/cloud",
    "cloud_frame": "camera",
    "camera_position": [0.0, 0.0, 0.0],
    "command_topic": "/commands",
    "joints": ["a", "b"],
    "state": ["position/a", "position/b", "velocity/a", "velocity/b", "effort/a"],
    "violation": "clamp",
    "dry_run": False,
    "min_points": 8,
    "decision_wait_s": 0.08,
    "policy_timeout_s": 2.0,
    "joints_timeout_s": 0.5,
    "joints_max_age_s": 0.5,
    "cloud_timeout_s": 1.0,
    "cloud_max_age_s": 1.0,
    "disarm_after_s": 30.0,
    "clock_jump_s": 5.0,  # a machine of tests may be busy
    **LIMITS,
}


@pytest.fixture(scope="module")
def environments() -> Path:
    return ros_environments()


@pytest.fixture(scope="module")
def server():
    recipe = PointCloudRecipe("front", (0, 0, 0), 84, (-1, -1, 0), (1, 1, 2), points=8)
    spec = small_policy("regression").spec
    spec = dataclasses.replace(spec, recipe=recipe.to_dict(), control_rate_hz=10.0)
    with running(EagerChunkPolicy(Policy(spec).eval())) as server:
        yield server


@pytest.mark.ros
@pytest.mark.timeout(1500)
def test_a_robot_of_another_distribution_is_moved_held_and_stopped(environments, server, tmp_path):
    told = {"/**": {"ros__parameters": {**PARAMETERS, "server": server.url}}}
    (tmp_path / "robot.yaml").write_text(yaml.safe_dump(told))
    node = ros(
        environments, "jazzy", "-m", "real_robot.ros2.node", "--ros-args", "--params-file",
        str(tmp_path / "robot.yaml"),
    )  # fmt: skip
    peer = ros(environments, "kilted", str(Path(__file__).with_name("ros_peer.py")))
    said = played(node, peer)
    assert (said["configured"], said["activated"], said["deactivated"]) == (True, True, True)
    assert not said["armed_inactive"]
    assert said["disarmed"] == 0
    assert said["arm"] == "armed"
    assert said["moving"] > 10
    targets = np.array([points[0] for points in said["commands"]])
    assert (np.abs(targets) <= LIMITS["upper"]).all()
    assert said["stalled"] == 0
    assert "stale_cloud" in said["stalled_diagnostics"]["message"]
    assert said["resumed"] > 5
    assert said["stopped"] == 0
    assert said["stopped_diagnostics"]["message"] == "stopped: service ~/stop"
    assert said["armed_stopped"].startswith("stopped")
    assert said["reset"]
    assert float(said["diagnostics"]["cloud_to_command_p50_ms"]) > 0
    assert said["diagnostics"]["inputs"] == "cloud: fresh, joints: fresh"
