"""Depth image → points in the camera frame → points in the world frame → crop box.

*Camera* is the optical frame (x right, y down, z forward), *world* the fixed frame of the scene.
All lengths are metres. M counts points, C extra channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfpolicy.errors import ObservationError


def depth_to_points(depth_m: ArrayLike, intrinsics: ArrayLike) -> NDArray[np.float32]:
    """Unprojects a metric depth image through the centres of its pixels.

    Args:
        depth_m: (H, W), distance along the optical axis, metres.
        intrinsics: (3, 3) pinhole matrix, pixels; pixel (u, v) covers [u, u+1) × [v, v+1).

    Returns:
        (H·W, 3) float32, row by row, in the camera frame.

    Raises:
        ObservationError: a shape is wrong, or a depth is not finite.
    """
    depth = np.asarray(depth_m, dtype=np.float32)
    matrix = np.asarray(intrinsics, dtype=np.float64)
    if depth.ndim != 2 or matrix.shape != (3, 3):
        raise ObservationError(
            "depth must be (H, W) and intrinsics (3, 3)", received=(depth.shape, matrix.shape)
        )
    if not np.isfinite(depth).all():
        raise ObservationError(
            "every depth must be finite", remedy="set missing depth to 0 before unprojecting"
        )
    height, width = depth.shape
    x = (np.arange(width) + 0.5 - matrix[0, 2]) / matrix[0, 0]
    y = (np.arange(height) + 0.5 - matrix[1, 2]) / matrix[1, 1]
    points = np.empty((height, width, 3), dtype=np.float32)
    points[..., 0] = depth * x.astype(np.float32)
    points[..., 1] = depth * y.astype(np.float32)[:, None]
    points[..., 2] = depth
    return points.reshape(-1, 3)


def metres(depth: NDArray[Any], metres_per_unit: float | None = None) -> NDArray[np.float32]:
    """A depth image in metres, from one in the camera's unit.

    Args:
        depth: (H, W).
        metres_per_unit: None: 0.001 for whole numbers, 1 for others, as ROS has them.

    Example:
        >>> metres(np.array([[1500]], np.uint16)).round(3).tolist()
        [[1.5]]
    """
    unit = metres_per_unit or (0.001 if depth.dtype.kind in "iu" else 1.0)
    return depth.astype(np.float32) * np.float32(unit)


def pixel_matrix(fx: float, fy: float, cx: float, cy: float) -> NDArray[np.float64]:
    """(3, 3) for `depth_to_points`, from values in which (0, 0) is the centre of the first pixel.

    OpenCV and ROS have them so.
    """
    return np.array([[fx, 0, cx + 0.5], [0, fy, cy + 0.5], [0, 0, 1.0]])


def to_world(points_camera: ArrayLike, T_world_cam: ArrayLike) -> NDArray[np.float32]:
    """Moves points from the camera frame to the world frame.

    Args:
        points_camera: (M, 3), metres.
        T_world_cam: (4, 4) rigid transform, camera to world.

    Returns:
        (M, 3) float32, metres.

    Raises:
        ObservationError: a shape is wrong.
    """
    points = np.asarray(points_camera, dtype=np.float32)
    transform = np.asarray(T_world_cam, dtype=np.float32)
    if points.ndim != 2 or points.shape[1] != 3 or transform.shape != (4, 4):
        raise ObservationError(
            "points must be (M, 3) and the transform (4, 4)",
            received=(points.shape, transform.shape),
        )
    return points @ transform[:3, :3].T + transform[:3, 3]


def crop(
    points_world: ArrayLike, minimum: Sequence[float], maximum: Sequence[float]
) -> NDArray[np.bool_]:
    """Marks the points strictly inside a box.

    Args:
        points_world: (M, 3+C); the first three channels are xyz, metres.
        minimum: the box's lower corner, metres.
        maximum: the box's upper corner, metres.

    Returns:
        (M,) boolean mask.

    Raises:
        ObservationError: there are fewer than three channels.

    Example:
        >>> crop([[0, 0, 0.1], [0, 0, -0.1]], (-1, -1, 0), (1, 1, 1)).tolist()
        [True, False]
    """
    xyz = as_points(points_world)[:, :3]
    low, high = np.asarray(minimum, np.float32), np.asarray(maximum, np.float32)
    return np.logical_and.reduce((xyz > low) & (xyz < high), axis=1)


def as_points(points: ArrayLike) -> NDArray[np.float32]:
    """``points`` as float32, checked to be (M, 3+C)."""
    cloud = np.asarray(points, dtype=np.float32)
    if cloud.ndim != 2 or cloud.shape[1] < 3:
        raise ObservationError("points must be (M, 3 or more)", received=cloud.shape)
    return cloud
