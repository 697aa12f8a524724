"""The simulated robot's side of ROS 2: its driver, and the operator of a closed loop.

``python -m real_robot.ros2.peer`` runs both in one process; :mod:`real_robot.simulated` starts it.
"""
