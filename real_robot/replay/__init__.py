"""A recorded bag through the controller into a bag of commands: no ROS, and nothing moves."""

from real_robot.replay.replaying import Replayed, replay

__all__ = ["Replayed", "replay"]
