"""A closed loop without a robot: the controller and a simulated robot, as processes over ROS 2.

What is here starts and asks processes; it needs neither ROS nor a simulator itself. The robot is
:mod:`real_robot.ros2.peer` with :mod:`envs.robot` behind it, the controller
:mod:`real_robot.ros2.node`.
"""

from real_robot.simulated.bridge import Bridge, bridge_parameters
from real_robot.simulated.environments import LoopPlace, ros_python
from real_robot.simulated.loop import LoopEpisode, run_episodes
from real_robot.simulated.robot import SimulatedRobot
from real_robot.simulated.server import PolicyProcess

__all__ = [
    "Bridge",
    "LoopEpisode",
    "LoopPlace",
    "PolicyProcess",
    "SimulatedRobot",
    "bridge_parameters",
    "ros_python",
    "run_episodes",
]
