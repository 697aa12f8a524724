"""The controller of a real robot, kept apart from the library and from the simulators.

Only the types, the point clouds and the deployed policy of ``mfpolicy`` may be used here, so
that a robot computer needs neither a simulator nor the training code. ``core`` knows no ROS and
no clock; ``safety`` stands between it and the robot, and every command is released there.
"""
