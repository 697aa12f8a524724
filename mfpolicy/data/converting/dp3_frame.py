"""The frame of DP3's Adroit clouds (Ze et al., 2024) and the way from it to the world's.

DP3 unprojects pixel (u, v) with depth z to z ((u - s/2) / f, (v - s/2) / f, 1), s the image's side,
f = s / (2 tan(fovy / 2)): rays through corners of pixels, half a pixel beside their centres. It
then takes the pose of another camera than the one that it renders (the first of the scene, turned
by 45° about x, at the origin), and in door and hammer turns the result back by 45° and adds 1 m in
z. All of that is undone here; what remains are points in the camera's frame, whose pose is known.
"""

from __future__ import annotations

import math

import numpy as np

from mfpolicy.pointcloud import PointCloudRecipe

FOVY_RAD = math.radians(45.0)
_FIRST_CAMERA = (0.92388, 0.382683, 0.0, 0.0)  # w, x, y, z
_FLIP = np.diag([1.0, -1.0, -1.0])  # MuJoCo's y up, looking along -z, to y down, z forward
_TURNED_BACK_RAD = {"adroit/door": math.radians(45), "adroit/hammer": math.radians(45)}
_RAISED_M = {"adroit/door": 1.0, "adroit/hammer": 1.0}
TASKS = ("adroit/door", "adroit/hammer", "adroit/pen")
"""Those whose clouds DP3 makes."""


def dp3_from_camera(task: str) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) and translation (3,) from DP3's camera frame to that of its clouds.

    Args:
        task: one of ``TASKS``.
    """
    angle = _TURNED_BACK_RAD.get(task, 0.0)
    cos, sin = math.cos(angle), math.sin(angle)
    back = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    raised = np.array([0.0, 0.0, _RAISED_M.get(task, 0.0)])
    return back @ _rotation(_FIRST_CAMERA) @ _FLIP, raised


def focal_length_px(image_size: int) -> float:
    """F of a square image of the cameras' 45°."""
    return image_size / (2 * math.tan(FOVY_RAD / 2))


def camera_pose(recipe: PointCloudRecipe) -> np.ndarray:
    """(4, 4) T_world_cam of the recipe's camera; its frame has x right, y down, z forward."""
    assert recipe.camera_orientation is not None
    pose = np.eye(4)
    pose[:3, :3] = _rotation(recipe.camera_orientation) @ _FLIP
    pose[:3, 3] = recipe.camera_position
    return pose


def to_world_frame(points: np.ndarray, task: str, recipe: PointCloudRecipe) -> np.ndarray:
    """Points of DP3's clouds (…, 3), metres, in the world frame, (…, 3) float64.

    Args:
        points: as DP3 stores them, without the zeros that it pads with.
        task: one of ``TASKS``.
        recipe: of the camera and the image that the clouds were made from.
    """
    rotation, translation = dp3_from_camera(task)
    seen = (np.asarray(points, np.float64) - translation) @ rotation  # camera frame
    seen[..., :2] += 0.5 / focal_length_px(recipe.image_size) * seen[..., 2:]
    pose = camera_pose(recipe)
    return seen @ pose[:3, :3].T + pose[:3, 3]


def from_world_frame(points: np.ndarray, task: str, recipe: PointCloudRecipe) -> np.ndarray:
    """The inverse of :func:`to_world_frame`: world (…, 3), metres → DP3's clouds, float64.

    Args:
        points: in the world frame.
        task: one of ``TASKS``.
        recipe: of the camera and the image that the clouds were made from.

    Example:
        >>> recipe = PointCloudRecipe("c", (0, 0, 1), 84, (-1, -1, 0), (1, 1, 1), points=8,
        ...                           camera_orientation=(1, 0, 0, 0))
        >>> world = np.array([[0.1, 0.2, 0.3]])
        >>> there = from_world_frame(world, "adroit/pen", recipe)
        >>> to_world_frame(there, "adroit/pen", recipe).round(9).tolist()
        [[0.1, 0.2, 0.3]]
    """
    pose = camera_pose(recipe)
    seen = (np.asarray(points, np.float64) - pose[:3, 3]) @ pose[:3, :3]
    seen[..., :2] -= 0.5 / focal_length_px(recipe.image_size) * seen[..., 2:]
    rotation, translation = dp3_from_camera(task)
    return seen @ rotation.T + translation


def _rotation(quaternion: tuple[float, ...]) -> np.ndarray:
    """(3, 3) of a quaternion (w, x, y, z), made a unit one first."""
    w, x, y, z = np.asarray(quaternion) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
