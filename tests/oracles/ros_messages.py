"""What the messages of the golden bytes say, field by field; without ROS.

Numbers are chosen so that a swapped byte or field, a wrong width or a wrong alignment shows.
"""

from __future__ import annotations

from typing import Any

STAMP = {"sec": 1_700_000_123, "nanosec": 456_789_012}
_HEADER = {"stamp": STAMP, "frame_id": "camera"}
_NO_STAMP = {"stamp": {"sec": 0, "nanosec": 0}, "frame_id": ""}
_LAYOUT = {"dim": [], "data_offset": 0}


def _point(positions: list[float], nanosec: int) -> dict[str, Any]:
    due = {"sec": 0, "nanosec": nanosec}
    rest = {name: [] for name in ("velocities", "accelerations", "effort")}
    return {"positions": positions, **rest, "time_from_start": due}


PUBLISHED: dict[str, dict[str, Any]] = {
    "trajectory_msgs/msg/JointTrajectory": {
        "header": _NO_STAMP,
        "joint_names": ["a", "elbow"],
        "points": [_point([0.1, -0.2], 100_000_000), _point([0.25, -1e-3], 200_000_000)],
    },
    "std_msgs/msg/Float64MultiArray": {"layout": _LAYOUT, "data": [0.1, -0.2]},
    "geometry_msgs/msg/TwistStamped": {
        "header": {"stamp": STAMP, "frame_id": "world"},
        "twist": {
            "linear": {"x": 0.1, "y": -0.2, "z": 0.3},
            "angular": {"x": 0.0, "y": 0.0, "z": 0.0},
        },
    },
    "geometry_msgs/msg/PoseStamped": {
        "header": {"stamp": STAMP, "frame_id": "world"},
        "pose": {
            "position": {"x": 0.1, "y": -0.2, "z": 0.3},
            "orientation": {"x": 1.0, "y": 0.0, "z": 0.0, "w": 0.0},
        },
    },
    "diagnostic_msgs/msg/DiagnosticArray": {
        "header": {"stamp": STAMP, "frame_id": ""},
        "status": [
            {
                "level": 2,
                "name": "policy_controller: policy",
                "message": "armed, refusing: stale_cloud",
                "hardware_id": "",
                "values": [{"key": "armed", "value": "true"}, {"key": "inputs", "value": "µ"}],
            }
        ],
    },
}
"""By type, as the nodes themselves make them."""

RECEIVED: dict[str, dict[str, Any]] = {
    "sensor_msgs/msg/PointCloud2": {
        "header": _HEADER,
        "height": 1,
        "width": 2,
        "fields": [
            {"name": name, "offset": 4 * place, "datatype": 7, "count": 1}
            for place, name in enumerate("xyz")
        ],
        "is_bigendian": False,
        "point_step": 12,
        "row_step": 24,
        "data": list(bytes.fromhex("0000803f000000c0000040bf" + "0000003e0000803ecdcccc3d")),
        "is_dense": True,
    },
    "sensor_msgs/msg/Image": {
        "header": _HEADER,
        "height": 2,
        "width": 3,
        "encoding": "16UC1",
        "is_bigendian": 0,
        "step": 6,
        "data": [0xE8, 0x03, 0xD0, 0x07, 0, 0, 1, 0, 2, 0, 3, 0],
    },
    "sensor_msgs/msg/CameraInfo": {
        "header": _HEADER,
        "height": 2,
        "width": 3,
        "distortion_model": "plumb_bob",
        "d": [0.0] * 5,
        "k": [30.0, 0.0, 1.0, 0.0, 31.0, 0.5, 0.0, 0.0, 1.0],
        "r": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        "p": [30.0, 0.0, 1.0, 0.0, 0.0, 31.0, 0.5, 0.0, 0.0, 0.0, 1.0, 0.0],
        "binning_x": 0,
        "binning_y": 0,
        "roi": {"x_offset": 0, "y_offset": 0, "height": 0, "width": 0, "do_rectify": False},
    },
    "sensor_msgs/msg/JointState": {
        "header": _HEADER,
        "name": ["elbow", "a", "gripper"],
        "position": [0.5, -0.25, 0.04],
        "velocity": [1.5, -1e-3, 0.0],
        "effort": [],
    },
}
"""By type, as drivers send them."""
