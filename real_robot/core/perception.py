"""`Perception`: a message of a camera → the points that the policy saw in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfpolicy.errors import ObservationError
from mfpolicy.pointcloud import crop, depth_to_points, sample, to_world
from mfpolicy.pointcloud.geometry import metres
from mfpolicy.pointcloud.ros_cloud import read_points
from mfpolicy.pointcloud.ros_image import read_image, read_intrinsics
from real_robot.core.facts import PolicyFacts
from real_robot.parameters import RobotParameters


@dataclass(frozen=True, eq=False)
class CloudView:
    """A PointCloud2: ``message`` is anything with its fields."""

    message: Any


@dataclass(frozen=True, eq=False)
class DepthView:
    """A depth Image with its CameraInfo, and a color Image aligned with it, or None."""

    image: Any
    info: Any
    color: Any = None


class Perception:
    """Repeats the policy's own recipe on what a camera of this robot sees.

    Args:
        facts: of the policy.
        parameters: where the camera stands.
    """

    def __init__(self, facts: PolicyFacts, parameters: RobotParameters) -> None:
        self._facts = facts
        self._has_color = facts.has_color
        self._metres_per_unit = parameters.metres_per_unit or None
        self._T_world_cam = pose_matrix(*parameters.camera_pose)

    def seen(
        self, view: CloudView | DepthView, T_world_cam: NDArray[np.float64] | None = None
    ) -> NDArray[np.float32]:
        """The points (M, C) inside the policy's box, world frame, metres; M may be 0.

        Args:
            view: of the camera.
            T_world_cam: (4, 4), the camera's frame to the world's; None takes the parameters'.

        Raises:
            ObservationError: the message is damaged, or lacks the colors that the policy sees.
        """
        pose = self._T_world_cam if T_world_cam is None else T_world_cam
        points, colors = self._read(view)
        with np.errstate(over="ignore", invalid="ignore"):
            world = to_world(points.astype(np.float32), pose)
            kept = crop(world, self._facts.crop_min, self._facts.crop_max)  # NaN is outside
        if not self._has_color:
            return world[kept]
        if colors is None:
            raise ObservationError(
                "this policy sees colors, and the camera gives none",
                remedy="use a colored cloud, or give the color image beside the depth image",
            )
        return np.concatenate([world[kept], colors[kept]], axis=1, dtype=np.float32)

    def sampled(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """The cloud (P, C) of points (M, C)."""
        return sample(points, self._facts.points)

    def _read(self, view: CloudView | DepthView) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
        if isinstance(view, CloudView):
            return read_points(view.message)
        depth = read_image(view.image)
        if depth.ndim != 2:
            raise ObservationError("the depth image must be one", received=view.image.encoding)
        depth_m = metres(depth, self._metres_per_unit)
        is_seen = np.isfinite(depth_m) & (depth_m > 0)
        intrinsics = read_intrinsics(view.info, depth_m.shape)
        points = depth_to_points(np.where(is_seen, depth_m, 0), intrinsics)[is_seen.ravel()]
        if view.color is None or not self._has_color:
            return points, None
        color = read_image(view.color)
        if color.shape != (*depth_m.shape, 3):
            raise ObservationError(
                "the color image must be of the depth image's size",
                received=(color.shape, depth_m.shape),
            )
        return points, color.reshape(-1, 3)[is_seen.ravel()]


def pose_matrix(position: Any, orientation_xyzw: Any) -> NDArray[np.float64]:
    """(4, 4) of a position (3,) and a unit quaternion x, y, z, w.

    Example:
        >>> pose_matrix([1, 2, 3], [0, 0, 0, 1])[0].tolist()
        [1.0, 0.0, 0.0, 1.0]
    """
    x, y, z, w = (float(number) for number in orientation_xyzw)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = position
    return matrix
