"""The topics of the simulated robot."""

from __future__ import annotations

DEPTH, CAMERA_INFO, COLOR = "/camera/depth", "/camera/camera_info", "/camera/color"
CLOUD = "/camera/points"
JOINTS, TOOL = "/joint_states", "/tool_pose"
COMMAND, GRIPPER = "/arm/command", "/gripper/command"
CAMERA_FRAME, WORLD_FRAME = "camera", "world"
