"""The controller's core: messages and times in, commands out; no ROS and no clock.

Messages are anything with the fields of ROS's own, or the plain classes of
:mod:`mfpolicy.pointcloud.ros_cloud`, :mod:`mfpolicy.pointcloud.ros_image` and
:mod:`real_robot.core.proprioception`.
"""

from real_robot.core.controller import Controller
from real_robot.core.deciding import InlineDecider, ThreadDecider
from real_robot.core.facts import PolicyFacts

__all__ = ["Controller", "InlineDecider", "PolicyFacts", "ThreadDecider"]
