"""What the ROS node is told, and what it says: without ROS."""

from __future__ import annotations

import dataclasses

import pytest

from mfpolicy.errors import ConfigError
from oracles.robot_arm import FACTS, Arm, parameters
from real_robot.causes import counts_in
from real_robot.node_settings import COMMAND_TYPES, NodeSettings
from real_robot.parameters import ACTION_KINDS, RobotParameters
from real_robot.status import Level, Meters, describe

GOOD = {"cloud_topic": "/cloud", "command_topic": "/arm/joint_trajectory"}
TOOL = {name: [1.0] * 3 for name in ("upper", "velocity", "acceleration", "jump")}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"cloud_topic": ""}, "either cloud_topic or depth_topic"),
        ({"depth_topic": "/depth"}, "either cloud_topic or depth_topic"),
        ({"cloud_topic": "", "depth_topic": "/depth"}, "camera_info_topic"),
        ({"command_topic": ""}, "command_topic must be given"),
        ({"joints_topic": ""}, "joints_topic must be given"),
        ({"command_type": "joint_trajectry"}, "did you mean 'joint_trajectory'"),
        ({"cloud_reliability": "best"}, "best_effort"),
        ({"cloud_depth": 0}, "cloud_depth"),
        ({"diagnostics_hz": 0.0}, "diagnostics_hz"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, rule):
    NodeSettings(**GOOD).check(parameters())
    with pytest.raises(ConfigError, match=rule):
        NodeSettings(**{**GOOD, **changes})


def test_a_policy_that_sees_colors_needs_a_camera_that_gives_them():
    depth = {"depth_topic": "/depth", "camera_info_topic": "/info", "command_topic": "/arm"}
    for told in (GOOD, {**depth, "color_topic": "/color"}):
        NodeSettings(**told).check_color(has_color=True)
    NodeSettings(**depth).check_color(has_color=False)
    with pytest.raises(ConfigError, match="color_topic must be given"):
        NodeSettings(**depth).check_color(has_color=True)


@pytest.mark.parametrize(
    "pose",
    [{"camera_position": [0, 0, 1]}, {"camera_orientation_xyzw": [0.0, 1.0, 0.0, 0.0]}],
)
def test_a_pose_beside_tf_is_not_passed_over_in_silence(pose):
    NodeSettings(**GOOD, use_tf=True).check(parameters())
    with pytest.raises(ConfigError, match="not from both"):
        NodeSettings(**GOOD, use_tf=True).check(parameters(**pose))


def test_a_camera_whose_place_nobody_gave_is_not_taken_to_stand_at_the_worlds_origin():
    unknown = dataclasses.replace(parameters(), camera_position=())
    for frame in ("camera", "*"):
        with pytest.raises(ConfigError, match="where the camera stands must be given"):
            NodeSettings(**GOOD).check(dataclasses.replace(unknown, cloud_frame=frame))
    NodeSettings(**GOOD, use_tf=True).check(unknown)
    NodeSettings(**GOOD, world_frame="camera").check(unknown)


@pytest.mark.parametrize("kind", ACTION_KINDS)
def test_every_kind_of_action_has_a_message_and_others_are_refused(kind):
    tool = kind.startswith("tool")
    told = (
        RobotParameters(action_kind=kind, cloud_frame="world", lower=[-1] * 3, **TOOL)
        if tool
        else parameters(action_kind=kind)
    )
    fitting = [name for name in COMMAND_TYPES if _fits(name, told)]
    if tool:
        assert fitting == ["twist_stamped" if kind == "tool_velocity" else "pose_stamped"]
        with pytest.raises(ConfigError, match="tool_topic"):
            NodeSettings(**GOOD, command_type=fitting[0]).check(told)
    else:
        trajectory = [] if kind == "joint_velocity" else ["joint_trajectory"]
        assert fitting == [*trajectory, "float64_multi_array"]


def _fits(name, told):
    try:
        NodeSettings(**GOOD, command_type=name, tool_topic="/tool").check(told)
    except ConfigError:
        return False
    return True


def test_several_points_and_grippers_need_what_carries_them():
    with pytest.raises(ConfigError, match="several points"):
        NodeSettings(**GOOD, command_type="float64_multi_array").check(
            parameters(trajectory_points=2)
        )
    with pytest.raises(ConfigError, match="gripper_topic"):
        NodeSettings(**GOOD).check(parameters(gripper_column=2, gripper_upper=0.1))


def test_the_status_says_what_is_wrong():
    arm, meters = Arm(), Meters()
    levels = [describe(arm.controller, meters, arm.now_s)[:2]]
    arm.arm()
    for _ in range(3):
        arm.tick()
        meters.cloud.came(arm.now_s)
        meters.latency_s.add(0.01)
    levels.append(describe(arm.controller, meters, arm.now_s)[:2])
    values = describe(arm.controller, meters, arm.now_s)[2]
    levels.append(describe(arm.controller, meters, arm.now_s, has_ticks=False)[:2])
    arm.now_s += 0.2
    levels.append(describe(arm.controller, meters, arm.now_s)[:2])
    arm.controller.stop("button")
    levels.append(describe(arm.controller, meters, arm.now_s)[:2])
    assert levels == [
        (Level.WARN, "disarmed"),
        (Level.OK, "armed"),
        (Level.ERROR, "armed, refusing: clock"),
        (Level.ERROR, "armed, refusing: stale_joints"),
        (Level.ERROR, "stopped: button"),
    ]
    assert values["cloud_rate_hz"] == "1.5"
    assert values["inputs"] == "cloud: fresh, joints: fresh"
    assert values["cloud_to_command_p99_ms"] == "10.00"
    assert "decision_p50_ms" in values
    assert not any(name.startswith("refusals/") for name in values)


def test_refusals_are_said_by_cause():
    arm = Arm()
    arm.tick()
    arm.cloud(frame_id="map")
    values = describe(arm.controller, Meters(), arm.now_s)[2]
    assert values["refusals/disarmed"] == "1"
    assert values["refusals/wrong_frame"] == "1"
    assert values["last_refusal"] == "wrong_frame 'map', not 'camera'"


def test_why_a_message_was_thrown_away_is_not_hidden_by_ticks():
    """A policy that sees colors before a cloud without any: arming it says what is missing."""
    arm = Arm(facts=dataclasses.replace(FACTS, point_dim=6))
    for _ in range(3):
        arm.tick()
    values = describe(arm.controller, Meters(), arm.now_s)[2]
    assert values["last_refusal"] == "disarmed"
    assert values["last_thrown_away"].startswith("bad_cloud: this policy sees colors")
    reply = arm.arm()
    assert not reply.ok
    assert "no_cloud" in reply.message
    assert "this policy sees colors, and the camera gives none" in reply.message
    assert counts_in(values) == arm.counts | {"bad_cloud": 3}
