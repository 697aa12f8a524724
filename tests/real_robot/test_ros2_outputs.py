"""Velocities over real ROS 2, of joints and of the tool; the policy in the node's own process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from evaluation.run_folders import write_run
from mfpolicy.pointcloud import PointCloudRecipe
from oracles.ros_environments import ros_environments
from oracles.ros_processes import played, ros

HERE = Path(__file__).parent
RECIPE = PointCloudRecipe("front", (0, 0, 0), 84, (-1, -1, 0), (1, 1, 2), points=8)
FAST = 0.05
KINDS = {
    "float64_multi_array": (2, {
        "action_kind": "joint_velocity", "joints": ["a", "b"],
        "lower": [-1.5] * 2, "upper": [1.5] * 2,
    }),
    "twist_stamped": (3, {
        "action_kind": "tool_velocity", "state": ["tool/x", "tool/y", "tool/z"],
        "lower": [-1.0, -1.0, 0.0], "upper": [1.0, 1.0, 0.9],
    }),
}  # fmt: skip
PATIENT = {
    f"{name}_{kind}_s": 1.0
    for name in ("cloud", "joints", "tool") for kind in ("timeout", "max_age")
}  # fmt: skip


@pytest.mark.ros
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_in_the_nodes_process_drives_a_robot_by_velocities(kind, tmp_path):
    environments = ros_environments()
    axes, told = KINDS[kind]
    run = write_run(
        tmp_path, state_dim=axes, action_dim=axes, control_rate_hz=10.0, recipe=RECIPE.to_dict(),
        points=8,
    )  # fmt: skip
    told |= {
        "run": str(run), "compiled": False, "cloud_topic": "/cloud", "cloud_frame": "camera",
        "camera_position": [0.0, 0.0, 0.0], "tool_topic": "/tool", "command_topic": "/velocities",
        "command_type": kind, "violation": "clamp", "dry_run": False, "min_points": 8,
        "velocity": [FAST] * axes, "acceleration": [0.5] * axes, "jump": [1.0] * axes,
        "decision_wait_s": 0.08, "policy_timeout_s": 2.0, "diagnostics_hz": 10.0,
        "clock_jump_s": 5.0, **PATIENT,
    }  # fmt: skip
    (tmp_path / "robot.yaml").write_text(yaml.safe_dump({"/**": {"ros__parameters": told}}))
    words = [HERE / "ros_node_with_torch.py", Path(torch.__file__).parents[1], "--ros-args"]
    words += ["--params-file", tmp_path / "robot.yaml"]
    domain = 11 + list(KINDS).index(kind)
    node = ros(environments, "jazzy", *words, domain=domain)
    peer = ros(environments, "kilted", HERE / "ros_outputs.py", kind, domain=domain)
    said = played(node, peer)
    assert said["moving"] > 8, said["diagnostics"]
    velocities = np.array(said["velocities"])[:, :axes]
    assert (np.abs(velocities) <= FAST + 1e-9).all()
    assert np.abs(velocities).max() > 0
    moved = said["moved"][:3] if axes == 3 else said["moved"][3:]
    assert np.abs(moved).max() > 1e-3, "the robot goes where it is driven"
    assert (said["stopped"], said["silent"]) == (True, 0)
    assert said["last"] == [0.0, 0.0, 0.0], "a hold of velocities is none"
    if kind == "twist_stamped":
        assert said["frames"] == [["world", True]]
    assert said["diagnostics"]["message"] == "stopped: service ~/stop"
