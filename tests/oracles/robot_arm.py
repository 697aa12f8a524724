"""A two-joint arm before a wall of points, and a controller that it is moved by."""

from __future__ import annotations

import numpy as np

from mfpolicy.pointcloud.ros_cloud import PointCloudMessage, PointField
from real_robot.core import Controller, InlineDecider, PolicyFacts
from real_robot.core.proprioception import JointMessage
from real_robot.parameters import RobotParameters

RATE_HZ = 10.0
PERIOD_S = 1 / RATE_HZ
FACTS = PolicyFacts(
    n_obs_steps=2,
    n_action_steps=4,
    state_dim=2,
    action_dim=2,
    point_dim=3,
    points=16,
    rate_hz=RATE_HZ,
    crop_min=(-1.0, -1.0, 0.0),
    crop_max=(1.0, 1.0, 2.0),
)
LIMITS = {
    "lower": [-1.0, -2.0],
    "upper": [1.0, 2.0],
    "velocity": [1.0, 2.0],
    "acceleration": [20.0, 40.0],
    "jump": [0.3, 0.6],
}
_FIELDS = [PointField(name, 4 * place) for place, name in enumerate("xyz")]


def parameters(**changes) -> RobotParameters:
    values = {
        "joints": ["a", "b"], "cloud_frame": "camera", "camera_position": [0.0, 0.0, 0.0],
        "dry_run": False, **LIMITS,
    }  # fmt: skip
    return RobotParameters(**{**values, "min_points": 16, **changes})


def wall(points=64, *, depth_m=1.0) -> PointCloudMessage:
    """Points one metre ahead of a camera that looks along the world's z."""
    xyz = np.random.default_rng(0).uniform(-0.9, 0.9, (points, 3)).astype("<f4")
    xyz[:, 2] = depth_m
    return PointCloudMessage(1, points, _FIELDS, False, 12, 12 * points, xyz.tobytes())


WALL = wall()


class Arm:
    """A controller with an arm that goes where it is told."""

    def __init__(self, decide=None, *, facts=FACTS, decider=None, **changes) -> None:
        self.seen = []
        self._decide = decide or (lambda seen: np.zeros((4, 2)))
        self.parameters = parameters(**changes)
        decider = decider or InlineDecider(self.decided)
        self.controller = Controller(self.parameters, facts, decider)
        self.now_s = 100.0
        self.position = np.zeros(2)

    def decided(self, observation):
        self.seen.append(observation)
        with np.errstate(over="ignore"):
            return np.asarray(self._decide(observation), np.float32)[None]

    def joints(self, *, age_s=0.0, **changes) -> None:
        message = JointMessage(["b", "a"], self.position[::-1].tolist())
        fields = {**vars(message), **changes}
        self.controller.on_joints(
            JointMessage(**fields), stamp_s=self.now_s - age_s, now_s=self.now_s
        )

    def cloud(self, message=WALL, *, age_s=0.0, frame_id="camera") -> None:
        self.controller.on_cloud(
            message, frame_id=frame_id, stamp_s=self.now_s - age_s, now_s=self.now_s
        )

    def sense(self) -> None:
        self.joints()
        self.cloud()

    def arm(self):
        self.sense()
        return self.controller.arm(self.now_s)

    def tick(self, *, sense=True, period_s=PERIOD_S):
        """A tick after a period; the arm is where it was told to be by then."""
        self.now_s += period_s
        if sense:
            self.sense()
        command = self.controller.tick(self.now_s)
        if command.is_sent and self.parameters.quantity == "position":
            self.position = command.targets[0].copy()
        return command

    @property
    def counts(self):
        return self.controller.guard.refusals.counts()
