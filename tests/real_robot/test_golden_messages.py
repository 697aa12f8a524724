"""Bytes of the messages that the nodes exchange, as rclpy wrote them, read by another decoder.

Fast CDR leaves the bytes between aligned fields as they happen to be; the golden ones have 0 there.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore

from mfpolicy.data.converting.ros.bag import decode_cdr
from mfpolicy.pointcloud.ros_cloud import read_points
from mfpolicy.pointcloud.ros_image import read_image, read_intrinsics
from oracles.ros_environments import ros_environments
from oracles.ros_messages import PUBLISHED, RECEIVED
from oracles.ros_processes import ros
from real_robot.core.proprioception import Proprioception
from real_robot.parameters import RobotParameters
from real_robot.recording.commands import Commands

SAID = {**PUBLISHED, **RECEIVED}
GOLDEN = {
    name: bytes.fromhex(raw)
    for name, raw in json.loads(
        (Path(__file__).parent / "golden" / "messages.json").read_text()
    ).items()
}
STORES = (Stores.ROS2_JAZZY, Stores.ROS2_KILTED, Stores.ROS2_HUMBLE)


def plain(value: Any) -> Any:
    """A decoded message as dicts, lists and numbers."""
    if dataclasses.is_dataclass(value):
        fields = get_typestore(Stores.ROS2_JAZZY).fielddefs[value.__msgtype__][1]
        return {name: plain(getattr(value, name)) for name, _ in fields}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def without_padding(name: str, raw: bytes) -> bytes:
    """The bytes with 0 wherever that changes nothing of what they say."""
    types, cleared = get_typestore(Stores.ROS2_JAZZY), bytearray(raw)
    for place in range(len(raw)):
        cleared[place] = 0
        try:
            is_padding = plain(decode_cdr(types, bytes(cleared), name)) == SAID[name]
        except Exception:  # any other byte is needed to decode at all
            is_padding = False
        if not is_padding:
            cleared[place] = raw[place]
    return bytes(cleared)


def decoded(name: str, store: Stores = Stores.ROS2_JAZZY) -> Any:
    return decode_cdr(get_typestore(store), GOLDEN[name], name)


@pytest.mark.parametrize("store", STORES, ids=lambda store: store.value)
@pytest.mark.parametrize("name", SAID)
def test_each_message_says_what_it_should_field_by_field(name, store):
    types = get_typestore(store)
    message = decode_cdr(types, GOLDEN[name], name)
    assert plain(message) == SAID[name]
    again = bytes(types.serialize_cdr(message, name))
    assert again == GOLDEN[name][: len(again)]
    assert not any(GOLDEN[name][len(again) :])


@pytest.mark.parametrize("name", SAID)
def test_bytes_of_no_meaning_behind_a_message_are_not_read(name):
    """rclpy's serialize_message leaves them there: its buffer has an estimated length."""
    types = get_typestore(Stores.ROS2_JAZZY)
    followed = decode_cdr(types, GOLDEN[name] + bytes([0xAB]) * 28, name)
    assert plain(followed) == SAID[name]
    with pytest.raises(SerdeError):
        decode_cdr(types, GOLDEN[name][:20], name)


def test_what_a_camera_and_joints_say_is_read_from_the_bytes():
    points, colors = read_points(decoded("sensor_msgs/msg/PointCloud2"))
    np.testing.assert_allclose(points, [[1, -2, -0.75], [0.125, 0.25, 0.1]], atol=1e-7)
    assert colors is None
    depth = read_image(decoded("sensor_msgs/msg/Image"))
    np.testing.assert_array_equal(depth, [[1000, 2000, 0], [1, 2, 3]])
    # (0, 0) is the centre of the first pixel in ROS, its corner here
    matrix = read_intrinsics(decoded("sensor_msgs/msg/CameraInfo"), depth.shape)
    np.testing.assert_allclose(matrix, [[30, 0, 1.5], [0, 31, 1], [0, 0, 1]])
    limits = {name: [1.0, 1.0] for name in ("upper", "velocity", "acceleration", "jump")}
    told = RobotParameters(joints=["a", "elbow"], cloud_frame="camera", lower=[-1, -1], **limits)
    body = Proprioception(told)
    body.joints(decoded("sensor_msgs/msg/JointState"), 1.0, 1.0)
    position, velocity = body.measured()
    np.testing.assert_allclose([position, velocity], [[-0.25, 0.5], [-1e-3, 1.5]])


@pytest.mark.parametrize(
    ("kind", "name", "action_kind", "wanted"),
    [
        ("joint_trajectory", "trajectory_msgs/msg/JointTrajectory", "joint_position", [0.1, -0.2]),
        ("float64_multi_array", "std_msgs/msg/Float64MultiArray", "joint_velocity", [0.1, -0.2]),
        ("joint_state", "sensor_msgs/msg/JointState", "joint_position", [-0.25, 0.5]),
        ("twist_stamped", "geometry_msgs/msg/TwistStamped", "tool_velocity", [0.1, -0.2, 0.3]),
        ("pose_stamped", "geometry_msgs/msg/PoseStamped", "tool_position", [0.1, -0.2, 0.3]),
    ],
)
def test_a_recorder_reads_as_commands_what_the_controller_publishes(
    kind, name, action_kind, wanted
):
    axes = len(wanted)
    limits = {
        name: [1.0] * axes for name in ("upper", "velocity", "acceleration", "jump")
    }  # fmt: skip
    told = RobotParameters(
        joints=["a", "elbow"], cloud_frame="camera", action_kind=action_kind, lower=[-1.0] * axes,
        **limits,
    )  # fmt: skip
    commands = Commands(told, kind, "world")
    commands.take(decoded(name), 5.0)
    np.testing.assert_allclose(commands.at(5.0), wanted)


@pytest.mark.ros
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("distribution", ["jazzy", "kilted"])
def test_rclpy_writes_and_reads_these_bytes(distribution):
    script = Path(__file__).with_name("ros_golden.py")
    golden = Path(__file__).parent / "golden" / "messages.json"
    process = ros(ros_environments(), distribution, script, golden)
    out, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    types = get_typestore(Stores.ROS2_JAZZY)
    for name, raw in json.loads(out).items():
        assert plain(decode_cdr(types, bytes.fromhex(raw), name)) == SAID[name]
        assert without_padding(name, bytes.fromhex(raw)) == GOLDEN[name]
