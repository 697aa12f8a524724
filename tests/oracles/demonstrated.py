"""A demonstrator's robot before a wall of points, and a recorder that watches."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from mfpolicy.errors import DataError
from oracles.robot_arm import LIMITS, PERIOD_S, RATE_HZ, wall
from real_robot.core.proprioception import JointMessage
from real_robot.node_settings import NodeSettings
from real_robot.parameters import RobotParameters
from real_robot.recording import Recorder, RecorderSettings

BOX = {"crop_min": [-1.0, -1.0, 0.0], "crop_max": [1.0, 1.0, 2.0]}
POSE = {
    "camera_position": [0.1, -0.2, 0.3],
    "camera_orientation_xyzw": [np.sin(0.1), 0.0, 0.0, np.cos(0.1)],
}


class Kept:
    """A store in memory; ``full`` refuses."""

    def __init__(self):
        self.kept, self.full = [], False

    @property
    def episodes(self):
        return len(self.kept)

    def append(self, steps):
        if self.full:
            raise DataError("the disk must have room")
        self.kept.append(steps.arrays())


def parameters(**changes) -> RobotParameters:
    told = {
        "joints": ["a", "b"], "cloud_frame": "camera", "camera_position": [0.0, 0.0, 0.0],
        "rate_hz": RATE_HZ, "min_points": 16, **LIMITS,
    }  # fmt: skip
    return RobotParameters(**{**told, **changes})


def settings(**changes) -> NodeSettings:
    return NodeSettings(**{"cloud_topic": "/cloud", "command_topic": "/commands", **changes})


def recording(**changes) -> RecorderSettings:
    return RecorderSettings(**{"out": "unused", "points": 16, **BOX, **changes})


def header(frame_id=""):
    return SimpleNamespace(frame_id=frame_id, stamp=SimpleNamespace(sec=0, nanosec=0))


def command(kind, values, *, frame_id="world", due_s=PERIOD_S):
    """A message of a demonstrator; joints stand in another order, with one that is not ours."""
    xyz = SimpleNamespace(**dict(zip("xyz", values, strict=False)))
    names, mixed = ["b", "c", "a"], [values[1], 9.0, values[0]]
    due = SimpleNamespace(sec=0, nanosec=round(due_s * 1e9))
    return {
        "joint_trajectory": lambda: SimpleNamespace(
            header=header(), joint_names=names,
            points=[SimpleNamespace(positions=mixed, time_from_start=due)],
        ),
        "float64_multi_array": lambda: SimpleNamespace(data=list(values)),
        "joint_state": lambda: JointMessage(names, mixed, mixed),
        "pose_stamped": lambda: SimpleNamespace(
            header=header(frame_id), pose=SimpleNamespace(position=xyz)
        ),
        "twist_stamped": lambda: SimpleNamespace(
            header=header(frame_id), twist=SimpleNamespace(linear=xyz)
        ),
    }[kind]()  # fmt: skip


class Demonstrated:
    """A recorder with a robot before a wall, and somebody who commands it."""

    def __init__(self, *, store=None, node=None, record=None, **changes):
        self.store = store or Kept()
        self.parameters = parameters(**changes)
        self.recorder = Recorder(
            self.parameters, settings(**(node or {})), recording(**(record or {})), self.store
        )
        self.now_s, self.position = 100.0, np.array([0.1, -0.2])
        self.kind = (record or {}).get("action_type") or "joint_trajectory"

    def joints(self):
        message = JointMessage(["b", "a"], self.position[::-1].tolist(), [0.5, 0.25])
        self.recorder.on_joints(message, stamp_s=self.now_s, now_s=self.now_s)

    def tool(self, place):
        self.recorder.on_tool(place, stamp_s=self.now_s, now_s=self.now_s)

    def cloud(self, message=None, frame_id="camera"):
        self.recorder.on_cloud(
            message or wall(), frame_id=frame_id, stamp_s=self.now_s, now_s=self.now_s
        )

    def command(self, values, **changes):
        self.recorder.on_command(command(self.kind, values, **changes), now_s=self.now_s)

    def sense(self, values=(0.1, -0.2)):
        self.joints()
        self.cloud()
        self.command(values)

    def tick(self, period_s=PERIOD_S):
        self.now_s += period_s
        self.recorder.tick(self.now_s)

    def run(self, steps, *, values=lambda step: (0.1, -0.2)):
        for step in range(steps):
            self.sense(values(step))
            self.tick()

    @property
    def counts(self):
        return self.recorder.refusals.counts()
