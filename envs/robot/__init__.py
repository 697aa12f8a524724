"""A task's simulation as a robot: sensors as a driver gives them, commands as a driver takes them.

Nothing here knows ROS: ``python -m envs.robot`` is a process that tells its frames and takes its
commands through pipes, and :mod:`real_robot.ros2.peer` is its driver.
"""

from envs.robot.body import Body, Interface, Measured
from envs.robot.world import World

__all__ = ["Body", "Interface", "Measured", "World"]
