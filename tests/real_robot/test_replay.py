"""Replay: a bag that rosbags wrote, through the controller, into a bag that rosbags reads."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from data.converting.bags import BagWriter
from mfpolicy.errors import ConfigError, DataError
from mfpolicy.pointcloud import PointCloudRecipe
from mfpolicy.policy import Policy
from mfpolicy.policy.files import save_policy
from oracles.robot_arm import FACTS, LIMITS
from oracles.small_policy import small_policy
from real_robot.policies import OpenPolicy
from real_robot.replay import replay
from real_robot.replay.__main__ import main
from real_robot.replay.told import load_node_file

TOLD = {
    "joints": ["a", "b"],
    "cloud_frame": "camera",
    "camera_position": [0.0, 0.0, 0.0],
    "cloud_topic": "/cloud",
    "command_topic": "/commands",
    "min_points": 8,
    **LIMITS,
}
SECONDS = 2.0


def record(path: Path, kind: str, *, stall_s: float = SECONDS) -> Path:
    """Joints that stand at 0.1, 0.2 at 50 Hz, and a wall at 20 Hz, until ``stall_s``."""
    bag = BagWriter(path, kind)
    xyz = np.random.default_rng(0).uniform(-0.9, 0.9, (64, 3))
    xyz[:, 2] = 1.0
    for step in range(int(SECONDS * 50)):
        time_s = 100 + step / 50
        bag.joints("/joint_states", time_s, [0.2, 0.1, 5.0])  # of b, a, c
        if step % 5 == 0 and step / 50 < stall_s:
            bag.cloud("/cloud", time_s, xyz, np.zeros((64, 3), int))
    bag.close()
    return path


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Path:
    return record(tmp_path_factory.mktemp("bags") / "recording", "mcap")


def near(observation) -> np.ndarray:
    """A hundredth beyond where the joints are."""
    return np.repeat(observation["agent_pos"][:, -1:] + 0.01, 4, axis=1)


def told(tmp_path: Path, **changes) -> tuple:
    file = tmp_path / "robot.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": {**TOLD, **changes}}}))
    return load_node_file(file)


def run(bag: Path, tmp_path: Path, decide=near, *, facts=FACTS, **changes):
    parameters, settings = told(tmp_path, **changes)
    policy = OpenPolicy(decide, facts)
    return replay(bag, tmp_path / "out", policy=policy, parameters=parameters, settings=settings)


def written(path: Path) -> list:
    store = get_typestore(Stores.ROS2_HUMBLE)
    with AnyReader([path], default_typestore=store) as reader:
        return [
            (each.topic, received_ns * 1e-9, reader.deserialize(raw, each.msgtype))
            for each, received_ns, raw in reader.messages()
        ]


@pytest.mark.parametrize("kind", ["mcap", "sqlite3", "ros1"])
def test_commands_are_those_of_the_policy_at_its_rate(kind, bag, tmp_path):
    name = "recording.bag" if kind == "ros1" else "recording"
    source = bag if kind == "mcap" else record(tmp_path / name, kind)
    found = run(source, tmp_path, trajectory_points=2, use_sim_time=True)
    commands = written(tmp_path / "out")
    assert found.ticks == 19  # of 0.1 s, within 1.98 s
    assert found.kinds == {"move": len(commands)} == {"move": 19}
    for topic, _, message in commands:
        assert (topic, message.joint_names) == ("/commands", ["a", "b"])
        np.testing.assert_allclose(message.points[0].positions, [0.11, 0.21], atol=1e-6)
    assert np.diff([time_s for _, time_s, _ in commands]) == pytest.approx([0.1] * 18)
    ahead = [point.time_from_start.nanosec for point in commands[0][2].points]
    assert ahead == [100_000_000, 200_000_000]


def test_a_camera_that_stalls_is_answered_by_one_hold(tmp_path):
    found = run(record(tmp_path / "stalled", "mcap", stall_s=0.5), tmp_path)
    commands = written(tmp_path / "out")
    assert found.kinds["hold"] == 1
    assert found.kinds["silent"] > 5
    assert found.refusals["old_cloud"] + found.refusals.get("stale_cloud", 0) > 5
    assert commands[-1][1] == pytest.approx(101.0, abs=0.15)
    np.testing.assert_allclose(commands[-1][2].points[0].positions, [0.1, 0.2])


def test_depth_images_are_read_whichever_of_the_two_images_comes_first(tmp_path):
    source = BagWriter(tmp_path / "recording", "mcap")
    depth, color = np.full((6, 8), 900, np.uint16), np.zeros((6, 8, 3), np.uint8)
    for step in range(40):
        time_s = 100 + step / 40
        source.joints("/joint_states", time_s, [0.0, 0.0, 0.0])
        source.camera_info("/info", time_s)
        images = [("/depth", depth, "16UC1"), ("/color", color, "rgb8")]
        for topic, pixels, encoding in images if step < 20 else images[::-1]:
            source.image(topic, time_s, pixels, encoding)
    source.close()
    topics = {"depth_topic": "/depth", "camera_info_topic": "/info", "color_topic": "/color"}
    found = run(tmp_path / "recording", tmp_path, cloud_topic="", **topics)
    assert found.kinds["move"] == found.ticks > 5
    assert found.refusals == {}


def test_commands_that_lead_away_from_the_recording_are_refused_as_jumps(bag, tmp_path):
    found = run(bag, tmp_path, lambda _: np.full((1, 4, 2), 0.08), action_kind="joint_displacement")
    assert found.refusals["jump"] > 0


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"command_type": "float64_multi_array"}, "Float64MultiArray"),
        (
            {"command_type": "float64_multi_array", "action_kind": "joint_velocity"},
            "Float64MultiArray",
        ),
        ({"command_type": "pose_stamped", "action_kind": "tool_position"}, "PoseStamped"),
        ({"command_type": "twist_stamped", "action_kind": "tool_velocity"}, "TwistStamped"),
    ],
)
def test_every_type_of_command_is_written_as_ros_has_it(changes, kind, tmp_path):
    tool = changes["command_type"].endswith("stamped")
    if tool:
        values = {"lower": [-1.0] * 3} | {
            name: [9.0] * 3 for name in ("upper", "velocity", "acceleration", "jump")
        }
        changes = {**changes, **values, "tool_topic": "/tool"}
    source = BagWriter(tmp_path / "recording", "mcap")
    rows = np.random.default_rng(0).uniform(0.1, 0.9, (64, 3))
    for step in range(60):
        time_s = 100 + step / 50
        source.joints("/joint_states", time_s, [0.0, 0.0, 0.0])
        source.cloud("/cloud", time_s, rows, np.zeros((64, 3), int))
        place = source.make("geometry_msgs/msg/Point", x=0.0, y=0.0, z=0.0)
        turn = source.make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
        pose = source.make("geometry_msgs/msg/Pose", position=place, orientation=turn)
        header = source.header(time_s, "world")
        pose = source.make("geometry_msgs/msg/PoseStamped", header=header, pose=pose)
        source.write("/tool", pose, time_s)
    source.close()
    axes = 3 if tool else 2
    decided = np.linspace(0.01, 0.03, axes)
    found = run(
        tmp_path / "recording",
        tmp_path,
        lambda _: np.tile(decided, (1, 4, 1)),
        facts=dataclasses.replace(FACTS, action_dim=axes),
        **changes,
    )
    commands = written(tmp_path / "out")
    assert found.kinds["move"] == len(commands) > 5
    message = commands[0][2]
    assert message.__msgtype__.endswith(kind)
    if not tool:
        numbers = message.data
    else:
        vector = message.pose.position if kind == "PoseStamped" else message.twist.linear
        numbers = [vector.x, vector.y, vector.z]
        assert message.header.frame_id == "world"
        assert message.header.stamp.sec == 100
    np.testing.assert_allclose(numbers, decided)


def test_the_command_line_replays_a_run(bag, tmp_path, capsys):
    recipe = PointCloudRecipe("front", (0, 0, 0), 84, (-1, -1, 0), (1, 1, 2), points=8)
    spec = dataclasses.replace(
        small_policy("regression").spec, recipe=recipe.to_dict(), control_rate_hz=10.0
    )
    save_policy(Policy(spec).eval(), tmp_path / "run")
    state = ["position/a", "position/b", "velocity/a", "velocity/b", "effort/a"]
    told(tmp_path, state=state, violation="clamp", compiled=False)
    words = [
        f"bag={bag}", f"parameters={tmp_path / 'robot.yaml'}", f"run={tmp_path / 'run'}",
        f"out={tmp_path / 'out'}",
    ]  # fmt: skip
    assert main(words) == 0
    moved = int(capsys.readouterr().out.partition("move ")[2].split()[0])
    assert moved == len(written(tmp_path / "out")) > 0
    assert main(words) == 2
    assert "not there yet" in capsys.readouterr().err
    assert main([]) == 0
    assert main(["bag"]) == 2
    assert main(["bag=a", "parameter=b"]) == 2
    assert "did you mean 'parameters'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "error", "rule"),
    [
        ({"cloud_topic": "/clouds"}, DataError, "topic /clouds"),
        ({"joints_topic": "/cloud"}, DataError, "JointState"),
        ({"use_tf": True}, ConfigError, "does not read tf"),
        ({"cloud_topik": "/cloud"}, ConfigError, "did you mean 'cloud_topic'"),
        ({"command_type": "twist_stamped"}, ConfigError, "command_type must carry"),
    ],
)
def test_what_cannot_be_replayed_is_refused_and_leaves_nothing(changes, error, rule, bag, tmp_path):
    with pytest.raises(error, match=rule):
        run(bag, tmp_path, **changes)
    assert not (tmp_path / "out").exists()


def test_a_damaged_bag_leaves_no_half_of_an_answer(bag, tmp_path):
    broken = tmp_path / "broken.mcap"
    (file,) = bag.glob("*.mcap")
    content = file.read_bytes()
    broken.write_bytes(content[:200] + bytes(len(content) - 200))
    with pytest.raises(DataError, match="bag"):
        run(broken, tmp_path)
    with pytest.raises(DataError, match="must name a bag"):
        run(tmp_path / "robot.yaml", tmp_path)
    assert not (tmp_path / "out").exists()
