"""Parameters: every one that does not fit says the rule, the value and the remedy."""

from __future__ import annotations

import pytest
import yaml

from mfpolicy.errors import ConfigError
from oracles.robot_arm import LIMITS, parameters
from real_robot.parameter_file import load_parameters, parse_parameters

VALUES = {
    "joints": ["a", "b"], "cloud_frame": "camera", "camera_position": [0.0, 0.0, 0.0], **LIMITS,
}  # fmt: skip


def test_nothing_moves_by_default():
    assert parse_parameters(VALUES).dry_run


@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: {"/**": {"ros__parameters": v}}])
def test_yaml_of_our_own_and_of_ros_say_the_same(wrap, tmp_path):
    file = tmp_path / "robot.yaml"
    file.write_text(yaml.safe_dump(wrap({**VALUES, "dry_run": False})))
    assert load_parameters(file) == parameters(min_points=64)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"lower": [-57, -180], "upper": [57, 180]}, "radians.*pi / 180"),
        ({"lower": [1, -1], "upper": [-1, 1]}, "below its upper"),
        ({"velocity": [1.0]}, "2 numbers, for a, b.*data sheet"),
        ({"velocity": []}, "there are no defaults"),
        ({"acceleration": [0, 1]}, "acceleration limit must be above 0"),
        ({"jump": [float("nan"), 1]}, "finite"),
        ({"jump": "wide"}, "list of numbers"),
        ({"joints": []}, "joints must name"),
        ({"joints": ["a", "a"]}, "different names"),
        ({"joints": "ab"}, "different names"),
        ({"cloud_frame": ""}, "frame_id"),
        ({"camera_orientation_xyzw": [0, 0, 0, 2]}, "length 1"),
        ({"camera_position": [0, 0]}, "3 numbers"),
        ({"state": ["speed/a"]}, "position/JOINT"),
        ({"state": ["tool/w"]}, "tool/x"),
        ({"action_kind": "joint_postion"}, "did you mean 'joint_position'"),
        ({"violation": "ignore"}, "violation"),
        ({"action_kind": "joint_velocity", "trajectory_points": 2}, "1 for velocities"),
        ({"gripper_column": 0}, "gripper_lower must be below"),
        ({"gripper_column": -2}, "gripper_column"),
        ({"cloud_timeout_s": 0.0}, "cloud_timeout_s must be above 0"),
        ({"future_tolerance_s": -0.1}, "future_tolerance_s must be 0 or more"),
        ({"policy_timeout_s": float("inf")}, "policy_timeout_s"),
        ({"min_points": 0}, "min_points"),
        ({"cloud_max_hz": 0.0}, "cloud_max_hz must be above 0"),
        ({"joints_max_hz": 10.0, "flood_window_s": 0.05}, "joints_max_hz times flood_window_s"),
        ({"tool_max_hz": 1e9}, "2 to 3 times the rate of the device"),
        ({"dry_run": "no"}, "dry_run must be true or false"),
        ({"cloud_timout_s": 1.0}, "did you mean 'cloud_timeout_s'"),
    ],
)
def test_what_does_not_fit_is_refused(changes, rule):
    parse_parameters(VALUES)
    with pytest.raises(ConfigError, match=rule):
        parse_parameters({**VALUES, **changes})


@pytest.mark.parametrize("text", ["- a\n", "a: [", ""])
def test_files_that_hold_no_parameters_are_refused(text, tmp_path):
    file = tmp_path / "robot.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"robot\.yaml must"):
        load_parameters(file)
    with pytest.raises(ConfigError, match="YAML file"):
        load_parameters(tmp_path / "missing.yaml")
