"""The recorder: what it keeps is what a controller would show, and what was commanded."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mfpolicy.errors import ConfigError
from mfpolicy.pointcloud.ros_image import CameraInfoMessage, ImageMessage
from oracles.demonstrated import BOX, POSE, Demonstrated, command, header
from oracles.robot_arm import LIMITS, PERIOD_S, RATE_HZ, Arm, wall
from real_robot.core import PolicyFacts
from real_robot.core.actions import ActionMap
from real_robot.core.proprioception import JointMessage
from real_robot.node_settings import COMMAND_TYPES
from real_robot.parameters import ACTION_KINDS
from real_robot.recording.settings import ACTION_TYPES
from real_robot.recording.status import RecorderMeters, describe_recorder
from real_robot.status import Level

DEPTH_ALONE = {"cloud_topic": "", "depth_topic": "/depth", "camera_info_topic": "/info"}


def depth_view(step: int):
    depth = np.full((24, 32), 900 + 10 * step, "<u2")
    depth[0, :5] = 0
    color = np.random.default_rng(step).integers(0, 256, (24, 32, 3), np.uint8)
    images = [
        ImageMessage(24, 32, name, False, each.nbytes // 24, each.tobytes())
        for name, each in (("16UC1", depth), ("rgb8", color))
    ]
    return images[0], CameraInfoMessage(24, 32, [30, 0, 16, 0, 30, 12, 0, 0, 1], []), images[1]


@pytest.mark.parametrize("camera", ["cloud", "depth", "colored depth"])
def test_what_is_recorded_is_what_a_controller_shows_its_policy(camera):
    """The invariance that everything rests on: bit for bit, over two seconds of messages."""
    has_color = camera == "colored depth"
    facts = PolicyFacts(
        n_obs_steps=1, n_action_steps=1, state_dim=3, action_dim=2,
        point_dim=6 if has_color else 3, points=64, rate_hz=RATE_HZ,
        crop_min=tuple(BOX["crop_min"]), crop_max=tuple(BOX["crop_max"]),
    )  # fmt: skip
    told = {"state": ["position/b", "velocity/a", "position/a"], "min_points": 8, **POSE}
    arm = Arm(lambda seen: np.zeros((1, 2)), facts=facts, **told)
    mine = Demonstrated(record={"points": 64, "color": has_color}, **told)
    observers = arm.controller, mine.recorder
    rng = np.random.default_rng(3)
    recorded = 0
    for step in range(20):
        arm.now_s += PERIOD_S / 2
        joints = rng.uniform(-0.5, 0.5, 4).tolist()
        for number, observer in enumerate(observers):
            message = JointMessage(["b", "a"], joints[:2], joints[2:])
            observer.on_joints(message, stamp_s=arm.now_s - 0.004, now_s=arm.now_s)
            times = {"frame_id": "camera", "stamp_s": arm.now_s - 0.02, "now_s": arm.now_s}
            if camera == "cloud":
                observer.on_cloud(wall(300, depth_m=0.8 + step / 100), **times)
            else:
                image, info, color = depth_view(step)
                observer.on_depth(image, info, color=color if has_color else None, **times)
            if number:
                mine.now_s = arm.now_s
                mine.command((0.0, 0.0))
        arm.now_s = mine.now_s = arm.now_s + PERIOD_S / 2
        if step == 0:
            assert arm.controller.arm(arm.now_s - 0.01).ok
            assert mine.recorder.start(arm.now_s - 0.01).ok
        arm.controller.tick(arm.now_s)
        mine.recorder.tick(arm.now_s)
        recorded += 1
    mine.command((0.0, 0.0))
    assert mine.recorder.stop(mine.now_s).ok
    (found,) = mine.store.kept
    assert len(found["state"]) == recorded - 1  # the last step has no action yet
    for row, seen in enumerate(arm.seen[: recorded - 1]):
        np.testing.assert_array_equal(found["points"][row], seen["point_cloud"][0, -1])
        np.testing.assert_array_equal(found["state"][row], seen["agent_pos"][0, -1])
    assert len(np.unique(found["points"], axis=0)) > 15


def _pairs():
    for action_kind in ACTION_KINDS:
        space, _, rest = action_kind.partition("_")
        carried = space, "velocity" if rest == "velocity" else "position"
        for kind, told in ACTION_TYPES.items():
            if kind != "measured" and all(
                mine in (None, its) for mine, its in zip(told, carried, strict=True)
            ):
                yield action_kind, kind


@pytest.mark.parametrize("displacement_from", ["command", "measured"])
@pytest.mark.parametrize(("action_kind", "kind"), list(_pairs()))
def test_an_action_leads_the_controller_to_what_was_commanded(action_kind, kind, displacement_from):
    space, quantity = action_kind.split("_")[0], action_kind.split("_")[1]
    axes = 2 if space == "joint" else 3
    limits = {name: [number[0]] * axes for name, number in LIMITS.items()}
    fitting = [n for n, (s, q) in COMMAND_TYPES.items() if s == space and q != "velocity"]
    node = {"command_type": "twist_stamped" if action_kind == "tool_velocity" else fitting[-1]}
    if action_kind == "joint_position":
        node["command_type"] = "joint_trajectory"
    mine = Demonstrated(
        node={**node, "tool_topic": "/tool", "gripper_topic": "/gripper"},
        record={"action_type": kind},
        action_kind=action_kind, displacement_from=displacement_from, gripper_column=1,
        gripper_upper=1.0, action_scale=[0.5] + [2.0] * axes, action_offset=[0.1] * (axes + 1),
        **limits,
    )  # fmt: skip
    mine.recorder.on_gripper(SimpleNamespace(data=[0.75]), now_s=mine.now_s)
    rng = np.random.default_rng(5)
    targets, measured = [], []
    for step in range(6):
        target = rng.uniform(-0.8, 0.8, axes)
        mine.position = rng.uniform(-0.5, 0.5, 2)
        place = rng.uniform(-0.5, 0.5, 3)
        mine.tool(place)
        mine.sense(target)
        if step == 0:
            assert mine.recorder.start(mine.now_s).ok, mine.recorder.reply
        else:
            targets.append(target)
        measured.append(mine.position if space == "joint" else place)
        mine.tick()
    assert mine.recorder.stop(mine.now_s).ok
    (found,) = mine.store.kept
    actions = ActionMap(mine.parameters, axes + 1)
    base = measured[0]
    assert len(found["action"]) == len(targets) == 5
    for row, target in enumerate(targets):
        if displacement_from == "measured":
            base = measured[row]
        reached, gripper = actions.targets(found["action"][row : row + 1], base)
        np.testing.assert_allclose(reached[0], target, atol=1e-6)
        np.testing.assert_allclose(gripper, [0.75], atol=1e-6)
        base = target
    assert quantity in action_kind


def test_an_arm_that_is_led_by_hand_demonstrates_where_it_was_next():
    mine = Demonstrated(record={"action_type": "measured"})
    places = np.linspace([0.0, 0.0], [0.5, -0.5], 6)
    for step, place in enumerate(places):
        mine.position = place
        mine.joints()
        mine.cloud()
        if step == 0:
            assert mine.recorder.start(mine.now_s).ok
        mine.tick()
    assert mine.recorder.stop(mine.now_s).ok
    (found,) = mine.store.kept
    np.testing.assert_allclose(found["state"], places[:-1], atol=1e-6)
    np.testing.assert_allclose(found["action"], places[1:], atol=1e-6)


def test_of_a_trajectory_the_point_of_the_next_step_counts():
    mine = Demonstrated()
    mine.sense()
    assert mine.recorder.start(mine.now_s).ok
    mine.tick()
    ahead = [command("joint_trajectory", (v, v), due_s=s) for v, s in ((0.2, 0.05), (0.4, 0.15))]
    ahead[0].points.append(ahead[1].points[0])
    mine.recorder.on_command(ahead[0], now_s=mine.now_s)
    mine.joints()
    mine.cloud()
    mine.tick()
    assert mine.recorder.stop(mine.now_s).ok
    np.testing.assert_allclose(mine.store.kept[0]["action"], [[0.3, 0.3]], atol=1e-6)


@pytest.mark.parametrize(
    ("missing", "cause"),
    [("cloud", "no_cloud"), ("joints", "no_joints"), ("command", "no_command")],
)
def test_nothing_begins_without_an_input_and_the_answer_names_it(missing, cause):
    mine = Demonstrated()
    for name in {"cloud", "joints"} - {missing}:
        getattr(mine, name)()
    if missing != "command":
        mine.command((0.0, 0.0))
    reply = mine.recorder.start(mine.now_s)
    assert not reply.ok
    assert cause in reply.message
    mine.sense()
    assert mine.recorder.start(mine.now_s).ok
    assert "stop or discard" in mine.recorder.start(mine.now_s).message


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    ("silent", "cause"),
    [("cloud", "stale_cloud"), ("joints", "stale_joints"), ("command", "stale_command")],
)
def test_a_gap_is_told_when_the_episode_is_stopped_and_discards_it_unless_told(silent, cause, keep):
    mine = Demonstrated(record={"keep_faulty": keep})
    mine.sense()
    assert mine.recorder.start(mine.now_s).ok
    mine.run(3)
    for _ in range(9):
        mine.cloud() if silent != "cloud" else None
        mine.joints() if silent != "joints" else None
        mine.command((0.0, 0.0)) if silent != "command" else None
        mine.tick()
    level, line, values = describe_recorder(mine.recorder, RecorderMeters(), mine.now_s)
    assert (level, "faults" in line) == (Level.ERROR, True)
    assert int(values["faulty_steps"]) > 1
    mine.run(2)
    reply = mine.recorder.stop(mine.now_s)
    assert (reply.ok, mine.store.episodes) == (keep, int(keep))
    assert cause in reply.message
    assert "first after" in reply.message
    assert mine.recorder.state == "idle"


@pytest.mark.parametrize("period_s", [2.5 * PERIOD_S, -5.0])
def test_a_step_that_came_late_is_a_fault(period_s):
    mine = Demonstrated()
    mine.sense()
    assert mine.recorder.start(mine.now_s).ok
    mine.run(3)
    mine.sense()
    mine.now_s += period_s
    mine.sense()
    mine.recorder.tick(mine.now_s)
    mine.run(2)
    assert "clock" in mine.recorder.stop(mine.now_s).message
    assert mine.store.episodes == 0


def test_a_flood_of_messages_is_a_fault_of_the_steps_that_it_meets():
    mine = Demonstrated(joints_max_hz=40.0)
    mine.sense()
    assert mine.recorder.start(mine.now_s).ok
    mine.run(3)
    for _ in range(41):
        mine.joints()
    mine.run(2)
    reply = mine.recorder.stop(mine.now_s)
    assert (reply.ok, "flood_joints at 2 steps" in reply.message) == (False, True), reply
    assert "flood_joints" in mine.recorder.start(mine.now_s).message


def test_what_was_stamped_before_the_clock_went_back_is_forgotten():
    mine = Demonstrated()
    mine.sense()
    assert mine.recorder.start(mine.now_s).ok
    mine.run(3)
    mine.now_s -= 2.0
    mine.recorder.tick(mine.now_s)
    assert mine.recorder.state == "ended"
    assert "clock" in mine.recorder.reply.message
    mine.recorder.discard()
    assert mine.recorder.frame() is None  # of no state of before
    assert not mine.recorder.start(mine.now_s).ok
    mine.sense()
    assert mine.recorder.start(mine.now_s).ok
    mine.run(3)
    assert mine.recorder.stop(mine.now_s).ok


@pytest.mark.parametrize("keep", [False, True])
def test_an_action_that_its_policy_could_not_repeat_is_a_fault_told_by_column(keep):
    """Actions are clipped before they are scaled: beyond that no policy can lead."""
    mine = Demonstrated(
        record={"keep_faulty": keep}, node={"gripper_topic": "/gripper"},
        action_kind="joint_displacement", gripper_column=0, gripper_lower=-1.0, gripper_upper=1.0,
        action_lower=[-1.0] * 3, action_upper=[1.0] * 3, action_scale=[1.0, 0.1, 0.1],
    )  # fmt: skip
    mine.recorder.on_gripper(SimpleNamespace(data=[1.0]), now_s=mine.now_s)
    mine.sense((0.0, 0.0))
    assert mine.recorder.start(mine.now_s).ok
    targets = [(0.0, 0.0), (0.1, -0.1), (0.25, -0.2), (0.25, -0.5), (0.0, -0.5), (0.0, -0.5)]
    mine.run(len(targets), values=targets.__getitem__)
    level, line, _ = describe_recorder(mine.recorder, RecorderMeters(), mine.now_s)
    assert (level, "action_limits" in line) == (Level.ERROR, True)
    reply = mine.recorder.stop(mine.now_s)
    assert "action_limits at 3 steps (a at 2, as far as -2.5; b at 1, as far as -3)" in (
        reply.message
    )
    assert (reply.ok, mine.store.episodes) == (keep, int(keep))
    if keep:  # as it was demonstrated
        np.testing.assert_allclose(mine.store.kept[0]["action"][2], [1.0, 0.0, -3.0], atol=1e-6)


def test_actions_at_their_limits_are_no_fault():
    mine = Demonstrated(
        action_kind="joint_displacement", action_lower=[-1.0] * 2, action_upper=[1.0] * 2,
        action_scale=[0.1, 0.1],
    )  # fmt: skip
    mine.sense((0.0, 0.0))
    assert mine.recorder.start(mine.now_s).ok
    mine.run(8, values=lambda step: (0.1 * step, -0.1 * step))
    assert mine.recorder.stop(mine.now_s).ok, mine.recorder.reply
    np.testing.assert_allclose(np.abs(mine.store.kept[0]["action"][1:]), 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("moves_from", "is_late", "expected"),
    [(0, False, [0.4, 0.4]), (0, True, [0.8, 0.4]), (8, False, [0.25, 0.0])],
    ids=["in motion", "in motion, as a command is late", "at rest"],
)
def test_the_first_displacement_does_not_make_up_for_the_lag_of_an_arm_in_motion(
    moves_from, is_late, expected
):
    """At rest, where a leader may hold the arm off its place, a controller begins as measured."""
    mine = Demonstrated(
        action_kind="joint_displacement", action_lower=[-1.0] * 2, action_upper=[1.0] * 2,
        action_scale=[0.02, 0.02],
    )  # fmt: skip
    command, sent = np.array([-0.3, 0.3]), []
    for step in range(12):
        command = command + 0.008 * np.array([1, -1]) * (step >= moves_from)
        sent.append(command)
        mine.position = sent[max(step - 2, 0)] - [0.005 * (step < moves_from), 0]
        mine.joints()
        mine.cloud()
        if step == 5:
            assert mine.recorder.start(mine.now_s).ok
        if step != 5 or not is_late:
            mine.command(command)
        mine.tick()
    reply = mine.recorder.stop(mine.now_s)
    assert (reply.ok, "with" in reply.message) == (True, False), reply.message
    first, second, *rest = mine.store.kept[0]["action"][:, 0]
    assert [first, second] == pytest.approx(expected, abs=1e-5)
    assert rest == pytest.approx([0.4] * 4, abs=1e-5)


def test_a_tick_that_comes_twice_is_one_step():
    mine = Demonstrated()
    mine.sense()
    assert mine.recorder.start(mine.now_s).ok
    for _ in range(5):
        mine.run(1)
        mine.tick(PERIOD_S / 50)
    assert mine.recorder.stop(mine.now_s).ok
    assert len(mine.store.kept[0]["action"]) == 4


@pytest.mark.parametrize(
    "bad",
    [
        lambda: command("joint_trajectory", (np.nan, 0.0)),
        lambda: command("joint_trajectory", (1e9, 0.0)),
        lambda: SimpleNamespace(header=header(), joint_names=["a"], points=[]),
        lambda: SimpleNamespace(
            header=header(), joint_names=["a"],
            points=[SimpleNamespace(positions=[0.0], time_from_start=header().stamp)],
        ),
        lambda: SimpleNamespace(
            header=header(), joint_names=["a", "b"],
            points=[SimpleNamespace(positions=[0.0], time_from_start=header().stamp)],
        ),
        lambda: SimpleNamespace(data=[0.0, 0.0]),
    ],
)  # fmt: skip
def test_a_command_that_says_nothing_usable_is_counted_and_leaves_the_one_before(bad):
    mine = Demonstrated()
    mine.sense((0.3, 0.3))
    assert mine.recorder.start(mine.now_s).ok
    mine.tick()
    mine.recorder.on_command(bad(), now_s=mine.now_s)
    mine.joints()
    mine.cloud()
    mine.tick()
    assert mine.recorder.stop(mine.now_s).ok
    assert mine.counts == {"bad_command": 1}
    np.testing.assert_allclose(mine.store.kept[0]["action"], [[0.3, 0.3]], atol=1e-6)


def test_an_episode_is_bounded_and_waits_for_somebody_to_decide():
    mine = Demonstrated(record={"longest_s": 1.0})
    mine.sense()
    assert mine.recorder.start(mine.now_s).ok
    mine.run(40)
    assert mine.recorder.state == "ended"
    assert len(mine.recorder.steps) == 10
    assert describe_recorder(mine.recorder, RecorderMeters(), mine.now_s)[0] is Level.WARN
    assert mine.recorder.stop(mine.now_s).ok
    assert len(mine.store.kept[0]["action"]) == 10


def test_an_episode_that_cannot_be_written_is_not_lost():
    mine = Demonstrated()
    mine.sense()
    assert mine.recorder.start(mine.now_s).ok
    mine.run(5)
    mine.store.full = True
    reply = mine.recorder.stop(mine.now_s)
    assert (reply.ok, "not written" in reply.message) == (False, True)
    mine.run(5)
    assert not mine.recorder.start(mine.now_s).ok
    mine.store.full = False
    assert mine.recorder.stop(mine.now_s).ok
    assert len(mine.store.kept[0]["action"]) == 4


def test_what_is_discarded_is_gone():
    mine = Demonstrated()
    assert not mine.recorder.stop(mine.now_s).ok
    assert not mine.recorder.discard().ok
    mine.sense()
    assert mine.recorder.start(mine.now_s).ok
    mine.run(5)
    assert mine.recorder.discard().ok
    assert (mine.recorder.discarded, mine.store.episodes) == (1, 0)
    mine.sense()
    assert mine.recorder.start(mine.now_s).ok
    assert "no step" in mine.recorder.stop(mine.now_s).message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rate_hz": 0.0}, "rate_hz"),
        ({"record": {"color": True}, "node": DEPTH_ALONE}, "color_topic"),
        ({"action_scale": [0.0, 1.0]}, "action_scale"),
        ({"record": {"action_type": "twist_stamped"}}, "action_type"),
        ({"record": {"action_type": "pose"}}, "action_type"),
        ({"record": {"crop_min": [0.0, 0.0]}}, "crop_min"),
        ({"record": {"crop_min": [0.0, 0.0, 5.0]}}, "crop_min"),
        ({"record": {"points": 0}}, "points"),
        ({"record": {"out": ""}}, "out"),
        ({"record": {"task": "push"}}, "suite/task"),
        ({"record": {"longest_s": 0.0}}, "longest_s"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changes, words):
    with pytest.raises(ConfigError, match=words):
        Demonstrated(**changes)
