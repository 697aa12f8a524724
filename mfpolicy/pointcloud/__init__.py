"""Depth image → points → world frame → crop box → farthest-point sample.

The same steps run in simulation and on a robot, so a `PointCloudRecipe` travels with every
dataset and every policy.

Example:
    >>> import numpy as np
    >>> intrinsics = [[8, 0, 4], [0, 8, 4], [0, 0, 1]]
    >>> points = depth_to_points(np.ones((8, 8)), intrinsics)  # a wall one metre ahead
    >>> inside = crop(to_world(points, np.eye(4)), (-1, -1, 0), (0, 1, 2))
    >>> sample(points[inside], 16).shape
    (16, 3)
"""

from __future__ import annotations

from mfpolicy.pointcloud.geometry import crop, depth_to_points, to_world
from mfpolicy.pointcloud.pipeline import (
    Disturbance,
    cloud_from_depth,
    cloud_of_cameras,
    points_from_depth,
    sample_in_turns,
)
from mfpolicy.pointcloud.recipe import CameraView, PointCloudRecipe
from mfpolicy.pointcloud.sampling import sample

__all__ = [
    "CameraView",
    "Disturbance",
    "PointCloudRecipe",
    "cloud_from_depth",
    "cloud_of_cameras",
    "crop",
    "depth_to_points",
    "points_from_depth",
    "sample",
    "sample_in_turns",
    "to_world",
]
