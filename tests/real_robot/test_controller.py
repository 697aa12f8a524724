"""The controller: what the policy is given, and what becomes of its chunks."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading

import numpy as np
import pytest

import mfpolicy
from mfpolicy.errors import ConfigError
from mfpolicy.pointcloud import PointCloudRecipe, crop, sample
from mfpolicy.pointcloud.ros_cloud import read_points
from mfpolicy.pointcloud.ros_image import CameraInfoMessage, ImageMessage
from oracles.robot_arm import FACTS, LIMITS, PERIOD_S, Arm, parameters, wall
from oracles.withheld import Withheld
from real_robot.causes import Cause
from real_robot.command import Kind
from real_robot.core import Controller, InlineDecider, PolicyFacts, ThreadDecider

INDEX = 0.01 * np.arange(4)[:, None] * [1, 1]  # actions that tell their place in a chunk


def test_the_policy_is_given_its_own_recipe_and_its_history():
    arm = Arm()
    arm.arm()
    arm.position = np.array([0.1, 0.2])
    for _ in range(4):
        arm.tick()
    turned = Arm(camera_position=[0, 0, 2.0], camera_orientation_xyzw=[1.0, 0, 0, 0])
    turned.arm()
    turned.tick()
    xyz = read_points(wall())[0]
    expected = sample(xyz[crop(xyz, FACTS.crop_min, FACTS.crop_max)], FACTS.points)
    first = arm.seen[0]
    assert first["point_cloud"].shape == (1, 2, 16, 3)
    np.testing.assert_array_equal(first["point_cloud"][0, 0], expected)
    np.testing.assert_allclose(first["agent_pos"][0], [[0.1, 0.2]] * 2)
    seen = turned.seen[0]["point_cloud"][0, 0]
    assert np.isin(seen.round(5), (xyz * [1, -1, -1] + [0, 0, 2]).astype("f4").round(5)).all()


def test_frames_are_a_period_apart_and_states_those_of_the_clouds_stamp():
    arm = Arm(execute=1)
    arm.arm()
    for place in range(4):
        arm.position = np.array([0.1 * place, 0])
        arm.now_s += PERIOD_S
        arm.joints()
        arm.cloud(age_s=PERIOD_S)  # made when the joints before these were
        arm.controller.tick(arm.now_s)
    assert arm.seen[-1]["agent_pos"][0, :, 0].tolist() == pytest.approx([0.1, 0.2])


def _positions_seen(arm):
    return [seen["agent_pos"][0, :, 0].tolist() for seen in arm.seen]


def test_frames_of_before_a_refusal_are_not_seen_with_those_after_it():
    asked = iter([INDEX + [0.9, 0], INDEX + [0.15, 0]])  # the first leads too far
    arm = Arm(lambda _: next(asked))
    arm.arm()
    kinds = []
    for place in range(2):
        arm.position = np.array([0.1 * place, 0])
        kinds.append(arm.tick().kind)
    assert kinds == [Kind.SILENT, Kind.MOVE]
    assert _positions_seen(arm)[-1] == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize(("periods", "is_gap"), [(1.0, False), (1.3, False), (3.0, True)])
def test_frames_of_before_ticks_that_did_not_come_are_not_seen_with_those_after(periods, is_gap):
    arm = Arm(lambda _: INDEX, execute=1)
    arm.arm()
    arm.tick()
    arm.position = np.array([0.01, 0])
    arm.tick(period_s=periods * PERIOD_S)
    before, after = _positions_seen(arm)[-1]
    assert after == pytest.approx(0.01)
    assert before == pytest.approx(0.01 if is_gap else 0.0)


def test_frames_of_before_a_late_answer_are_not_seen_with_those_after_it():
    seen = []
    decider = Withheld(lambda frames: (seen.append(frames), INDEX[None])[1])
    arm = Arm(decider=decider, execute=3)
    arm.seen = seen
    arm.arm()
    arm.tick()
    decider.is_withheld = True
    for place in range(6):
        arm.position = np.array([0.1 * place, 0])
        if place == 5:
            decider.is_withheld = False
        arm.tick()
    for place in range(6, 10):
        arm.position = np.array([0.1 * place, 0])
        arm.tick()
    frames = np.array(_positions_seen(arm)[1:])
    assert len(frames) > 1
    apart = np.diff(frames)[:, 0]
    assert [each == pytest.approx(0.1) or each == 0 for each in apart] == [True] * len(apart)


def test_chunks_are_executed_in_order_and_decided_anew():
    arm = Arm(lambda _: INDEX, latency_compensation=False, execute=3)
    arm.arm()
    moved = [arm.tick().targets[0, 0] for _ in range(7)]
    assert moved == pytest.approx([0, 0.01, 0.02, 0, 0.01, 0.02, 0])
    assert len(arm.seen) == 3


@pytest.mark.parametrize(
    ("compensates", "expected"), [(False, [0, 1, 2, 0, 1, 2]), (True, [0, 1, 2, 2, 2, 2])]
)
def test_actions_that_were_due_since_the_observation_are_dropped(compensates, expected):
    arm = Arm(lambda _: INDEX, latency_compensation=compensates, execute=3)
    arm.arm()
    moved = []
    for _ in expected:
        arm.now_s += PERIOD_S
        arm.joints()
        arm.cloud(age_s=2.5 * PERIOD_S)  # two commands went out since it was made
        moved.append(arm.controller.tick(arm.now_s).targets[0, 0])
    assert moved == pytest.approx([0.01 * place for place in expected])


@pytest.mark.parametrize(("asynchronous", "age"), [(False, 2.5), (True, 4.5)])
def test_a_decision_whose_actions_are_all_past_is_counted(asynchronous, age):
    arm = Arm(lambda _: INDEX, execute=2, asynchronous=asynchronous)
    arm.arm()
    commands = []
    for _ in range(6):
        arm.now_s += PERIOD_S
        arm.joints()
        arm.cloud(age_s=age * PERIOD_S)
        commands.append(arm.controller.tick(arm.now_s))
    waits = [each.cause for each in commands].count("waiting")
    assert arm.counts["late_decision"] >= waits > 0
    assert commands[0].kind is Kind.MOVE


def test_a_decision_is_begun_once_and_keeps_the_stamp_of_its_cloud():
    arm = Arm(lambda _: INDEX, execute=3, latency_compensation=False)
    arm.arm()
    begun = []
    for _ in range(6):
        arm.now_s += PERIOD_S
        arm.joints()
        arm.cloud(age_s=0.5 * PERIOD_S)
        assert arm.controller.tick(arm.now_s).kind is Kind.MOVE
        begun.append(arm.controller.begun_stamp_s)
    assert begun == [pytest.approx(100.05), None, None, pytest.approx(100.35), None, None]


def test_a_trajectory_is_sent_as_far_as_it_is_planned():
    arm = Arm(lambda _: INDEX, trajectory_points=3)
    arm.arm()
    commands = [arm.tick() for _ in range(4)]
    assert [len(each.targets) for each in commands] == [3, 3, 2, 1]
    np.testing.assert_allclose(commands[1].targets, INDEX[1:])
    np.testing.assert_allclose(commands[0].times_s, [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("origin", "expected"), [("command", [0.02, 0.04, 0.06]), ("measured", [0.02, 0.02, 0.02])]
)
def test_displacements_add_to_what_was_commanded_or_measured(origin, expected):
    step = np.full((4, 2), 2.0)
    arm = Arm(
        lambda _: step, action_kind="joint_displacement", action_scale=[0.01, 0.01],
        displacement_from=origin,
    )  # fmt: skip
    arm.arm()
    moved = []
    for _ in expected:
        moved.append(arm.tick().targets[0, 0])
        arm.position = np.zeros(2)  # an arm that does not follow
    assert moved == pytest.approx(expected)


def test_the_gripper_has_a_column_of_its_own():
    arm = Arm(
        lambda _: np.array([[0.0, 0.5, 0.01]] * 4), facts=dataclasses.replace(FACTS, action_dim=3),
        gripper_column=1, gripper_upper=0.08, action_scale=[1, 0.1, 1],
    )  # fmt: skip
    arm.arm()
    command = arm.tick()
    assert command.gripper.tolist() == pytest.approx([0.05])
    assert command.targets[0].tolist() == pytest.approx([0, 0.01])


def test_actions_are_clipped_as_in_training_before_they_are_scaled():
    arm = Arm(
        lambda _: np.array([[0.5, -3.0]] * 4), action_lower=[-1, -1], action_upper=[1, 1],
        action_scale=[0.1, 0.1],
    )  # fmt: skip
    arm.arm()
    assert arm.tick().targets[0].tolist() == pytest.approx([0.05, -0.1])
    arm = Arm(lambda _: np.full((4, 2), np.nan), action_lower=[-1, -1], action_upper=[1, 1])
    arm.arm()
    assert arm.tick().cause is Cause.NAN_ACTION


def test_velocities_are_sent_as_they_are():
    arm = Arm(lambda _: np.full((4, 2), 0.3), action_kind="joint_velocity")
    arm.arm()
    assert arm.tick().targets[0].tolist() == pytest.approx([0.3, 0.3])


def test_tool_commands_stay_in_the_workspace_and_need_the_tool():
    box = {"lower": [-0.1, -0.1, 0], "upper": [0.1, 0.1, 0.5]}
    rates = {"velocity": [1] * 3, "acceleration": [50] * 3, "jump": [0.2] * 3}
    facts = dataclasses.replace(FACTS, action_dim=3, state_dim=3)
    arm = Arm(
        lambda _: np.tile([[0.06, 0, 0]], (4, 1)), facts=facts, joints=[], **box, **rates,
        action_kind="tool_displacement", state=["tool/x", "tool/y", "tool/z"],
    )  # fmt: skip
    arm.sense()
    assert "no_tool" in arm.controller.arm(arm.now_s).message
    arm.controller.on_tool([0, 0, 0.2], stamp_s=arm.now_s, now_s=arm.now_s)
    assert arm.arm().ok
    kinds, x = [], 0.0
    for _ in range(4):
        arm.now_s += PERIOD_S
        arm.sense()
        arm.controller.on_tool([x, 0, 0.2], stamp_s=arm.now_s, now_s=arm.now_s)
        command = arm.controller.tick(arm.now_s)
        kinds.append(command.kind)
        x = command.targets[0, 0] if len(command.targets) else x
    assert kinds == [Kind.MOVE, Kind.HOLD, Kind.SILENT, Kind.SILENT]
    assert arm.counts["workspace"] == 3


def test_depth_images_give_the_points_of_their_pixels():
    depth = np.full((8, 8), 1000, "<u2")
    depth[0, 0] = 0
    info = CameraInfoMessage(8, 8, [8, 0, 3.5, 0, 8, 3.5, 0, 0, 1])
    arm = Arm()
    arm.joints()
    arm.controller.on_depth(
        ImageMessage(8, 8, "16UC1", False, 16, depth.tobytes()), info, frame_id="camera",
        stamp_s=arm.now_s, now_s=arm.now_s,
    )  # fmt: skip
    assert arm.controller.arm(arm.now_s).ok
    arm.now_s += PERIOD_S
    arm.joints()
    assert arm.controller.tick(arm.now_s).kind is Kind.MOVE
    points = arm.seen[0]["point_cloud"][0, 0]
    corners = [[x, y, 1] for x in (-0.4375, 0.4375) for y in (-0.4375, 0.4375)]
    assert [corner in points.tolist() for corner in corners] == [False, True, True, True]


def test_a_pose_goes_with_its_cloud_and_a_refused_one_moves_no_other():
    arm = Arm()
    arm.joints()
    near, far = np.eye(4), np.eye(4)
    near[2, 3], far[:, 3] = -0.25, [9, 9, 9, 1]
    told = {"stamp_s": arm.now_s, "now_s": arm.now_s}
    arm.controller.on_cloud(wall(), frame_id="camera", T_world_cam=near, **told)
    arm.controller.on_cloud(wall(), frame_id="other", T_world_cam=far, **told)
    assert arm.controller.arm(arm.now_s).ok
    arm.now_s += PERIOD_S
    arm.joints()
    arm.controller.tick(arm.now_s)
    assert (arm.seen[0]["point_cloud"][..., 2] == 0.75).all()
    assert arm.counts == {"wrong_frame": 1}


def test_a_policy_that_hangs_is_noticed_and_taken_back_when_it_answers():
    go = threading.Event()

    def decide(_):
        go.wait(60)
        return np.zeros((1, 4, 2), np.float32)

    decider = ThreadDecider(decide, wait_s=20.0)
    decider._wait_s = 0.0
    arm = Arm(decider=decider, policy_timeout_s=0.25, disarm_after_s=10)
    arm.arm()
    causes = [arm.tick().cause for _ in range(5)]
    assert causes == ["waiting", "waiting", "waiting", "policy_overrun", "policy_overrun"]
    go.set()
    decider._wait_s, decider._fresh = 20.0, True  # the next tick waits for the answer
    arm.tick()
    decider._fresh = True
    assert arm.tick().kind is Kind.MOVE
    decider.close()


@pytest.mark.parametrize(
    ("decide", "cause"),
    [
        (lambda _: 1 / 0, "policy_error"),
        (lambda _: np.full((4, 2), np.nan), "nan_action"),
        (lambda _: np.zeros((4, 3)), "nan_action"),
    ],
)
def test_a_policy_that_fails_moves_nothing(decide, cause):
    arm = Arm()
    arm.arm()
    assert arm.tick().kind is Kind.MOVE
    arm._decide = decide
    commands = [arm.tick() for _ in range(7)]
    assert [each.kind for each in commands] == [Kind.MOVE] * 3 + [Kind.HOLD] + [Kind.SILENT] * 3
    if cause == "policy_error":
        assert "ZeroDivisionError" in commands[-1].detail
    assert arm.counts[cause] == 4


def test_a_trained_policy_previews_in_a_dry_run():
    policy = mfpolicy.build_policy("mp1_small", point_dim=3, state_dim=2, action_dim=2)
    recipe = PointCloudRecipe("front", (0, 0, 0), 84, (-1, -1, 0), (1, 1, 2), points=64)
    spec = dataclasses.replace(policy.spec, recipe=recipe.to_dict(), control_rate_hz=10.0)
    facts = PolicyFacts.of(spec)
    assert PolicyFacts.of(spec.to_dict()) == facts  # as a policy server says it
    decider = InlineDecider(policy.compile(backend="eager"))
    wide = {name: [100.0, 100.0] for name in ("velocity", "acceleration", "jump")}
    arm = Arm(decider=decider, facts=facts, dry_run=True, policy_timeout_s=30, lower=[-19] * 2,
              upper=[19] * 2, **{**wide, "acceleration": [1e4] * 2})  # fmt: skip
    arm.arm()
    command = arm.tick()
    assert command.cause == "dry_run"
    assert not command.is_sent
    assert command.preview.shape == (1, 2)


@pytest.mark.parametrize(
    ("changes", "facts", "rule"),
    [
        ({"rate_hz": 30.0}, {}, "trained at, 10 Hz"),
        ({}, {"rate_hz": None}, "rate_hz must be given"),
        ({}, {"state_dim": 3}, "3 numbers of the policy's state"),
        ({}, {"action_dim": 3}, "must have 2 columns, a, b"),
        ({"action_scale": [1.0]}, {}, "action_scale"),
        ({"action_lower": [1.0, 1.0], "action_upper": [0.0, 2.0]}, {}, "must not lie above"),
        ({"execution": "warm_start"}, {}, "on a robot"),
        ({"execution": "recedin_horizon"}, {}, "did you mean"),
        ({"execute": 9}, {}, "at most the length"),
        ({"execution": "temporal_ensembling", "execute": 2}, {}, "execute must be left out"),
        ({"execution": "temporal_ensembling", "asynchronous": True}, {}, "must be left out"),
        ({"execution": "real_time_chunking", "asynchronous": True}, {}, "use receding_horizon"),
    ],
)
def test_robots_and_policies_that_do_not_go_together_are_refused(changes, facts, rule):
    with pytest.raises(ConfigError, match=rule):
        Controller(
            parameters(**changes),
            dataclasses.replace(FACTS, **facts),
            InlineDecider(lambda _: np.zeros((1, 4, 2))),
        )


@pytest.mark.parametrize(
    "execution", ["receding_horizon", "temporal_ensembling", "real_time_chunking"]
)
def test_every_execution_moves_the_arm(execution):
    arm = Arm(lambda _: np.full((4, 2), 0.05), execution=execution)
    arm.arm()
    assert [arm.tick().kind for _ in range(6)] == [Kind.MOVE] * 6
    assert arm.position.tolist() == pytest.approx([0.05, 0.05])


def test_the_core_needs_neither_torch_nor_ros():
    code = (
        "import sys, real_robot.core, real_robot.parameter_file\n"
        "assert not {'torch', 'rclpy', 'zarr', 'hydra', 'mujoco'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_limits_of_the_test_arm_have_an_axis_each():
    assert {len(values) for values in LIMITS.values()} == {len(parameters().axes)}
