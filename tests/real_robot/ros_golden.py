"""Sends the golden messages by rclpy to itself; writes one line of JSON, bytes in hex by type.

The bytes are those that arrive, as a recording has them.

Run by a Python that has rclpy, with the file of the golden bytes, which rclpy must read. Those that
the nodes publish are made by the nodes' own functions.
"""

import functools
import importlib
import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from oracles.ros_messages import PUBLISHED, RECEIVED, STAMP
from real_robot.command import Command, Kind
from real_robot.parameters import RobotParameters
from real_robot.ros2 import messages

LIMITS = {"lower": -1.0, "upper": 1.0, "velocity": 1.0, "acceleration": 1.0, "jump": 1.0}


def of_type(name):
    package, kind = name.split("/msg/")
    return getattr(importlib.import_module(f"{package}.msg"), kind)


def filled(name, values):
    """A message of a type with values, field by field."""
    message = of_type(name)()
    kinds = message.get_fields_and_field_types()
    for field, value in values.items():
        kind = re.sub(r"^sequence<(.*?)(, \d+)?>$|\[\d+\]$", r"\1", kinds[field])
        inner = kind.replace("/", "/msg/") if "/" in kind else None
        if isinstance(value, dict):
            value = filled(inner, value)
        elif inner is not None:
            value = [filled(inner, each) for each in value]
        elif kind == "octet":
            value = bytes([value])
        setattr(message, field, value)
    return message


def parameters(kind, joints):
    axes = len(joints) or 3
    limits = {name: [value] * axes for name, value in LIMITS.items()}
    return RobotParameters(
        action_kind=kind, joints=joints, cloud_frame="camera",
        tool_orientation_xyzw=[1.0, 0.0, 0.0, 0.0], **limits,
    )  # fmt: skip


def published():
    """What the nodes publish, made by their own functions from the values."""
    stamp = Time(**STAMP)
    told = list(PUBLISHED.values())
    trajectory = [point["positions"] for point in told[0]["points"]]
    twist, pose = told[2]["twist"]["linear"], told[3]["pose"]["position"]
    joints = parameters("joint_position", told[0]["joint_names"])
    cases = [
        ("joint_trajectory", trajectory, joints),
        ("float64_multi_array", [told[1]["data"]], joints),
        ("twist_stamped", [list(twist.values())], parameters("tool_velocity", [])),
        ("pose_stamped", [list(pose.values())], parameters("tool_position", [])),
    ]
    for kind, targets, robot in cases:
        targets = np.array(targets)
        command = Command(Kind.MOVE, targets, np.arange(1, len(targets) + 1) / 10)
        yield messages.encoded(command, kind, robot, frame="world", stamp=stamp)
    (status,) = told[4]["status"]
    values = {pair["key"]: pair["value"] for pair in status["values"]}
    described = status["level"], status["message"], values
    yield messages.diagnostics(status["name"], described, stamp)


def sent(found):
    """The bytes that arrive, of each message."""
    rclpy.init()
    node, raw = rclpy.create_node("golden"), {}
    lasting = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    for number, (name, message) in enumerate(found.items()):
        node.create_subscription(
            type(message), f"/golden_{number}", functools.partial(raw.setdefault, name), lasting,
            raw=True,
        )  # fmt: skip
        node.create_publisher(type(message), f"/golden_{number}", lasting).publish(message)
    end = time.monotonic() + 60
    while len(raw) < len(found) and time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.1)
    rclpy.shutdown()
    return raw


def main():
    found = dict(zip(PUBLISHED, published(), strict=True))
    for name, message in found.items():
        assert message == filled(name, PUBLISHED[name]), name
    found |= {name: filled(name, values) for name, values in RECEIVED.items()}
    raw = sent(found)
    golden = json.loads(Path(sys.argv[1]).read_text()) if len(sys.argv) > 1 else {}
    for name, message in found.items():
        for each in (raw[name], bytes.fromhex(golden.get(name, raw[name].hex()))):
            assert deserialize_message(each, of_type(name)) == message, name
    print(json.dumps({name: each.hex() for name, each in raw.items()}))


if __name__ == "__main__":
    main()
