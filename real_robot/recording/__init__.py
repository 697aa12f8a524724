"""Demonstrations as they are given, into a dataset; no ROS and no clock.

A recorder takes the messages that a controller takes, by the same code, and the demonstrator's
commands beside them. The node :mod:`real_robot.ros2.recorder` feeds it live, and
:mod:`real_robot.replay.recorder` from bags.
"""

from real_robot.recording.recorder import Recorder
from real_robot.recording.settings import RecorderSettings
from real_robot.recording.storing import DatasetStore

__all__ = ["DatasetStore", "Recorder", "RecorderSettings"]
