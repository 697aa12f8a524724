"""Depth image → the point cloud of a recipe: the whole way, in one call."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfpolicy.errors import ObservationError
from mfpolicy.pointcloud.geometry import crop, depth_to_points, to_world
from mfpolicy.pointcloud.recipe import PointCloudRecipe
from mfpolicy.pointcloud.sampling import sample


class Disturbance(Protocol):
    """What comes between camera and cloud. M pixels, P points, C color channels."""

    def points(self, points_world: NDArray[np.float32]) -> NDArray[np.float32]:
        """(M, 3) → (M, 3), before the crop."""
        ...

    def kept(
        self, points_world: NDArray[np.float32], inside: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """(M,) which of the points inside the crop box are sampled from."""
        ...

    def sampled(self, cloud: NDArray[np.float32]) -> NDArray[np.float32]:
        """(P, 3+C) → (P, 3+C), the finished cloud."""
        ...


def cloud_from_depth(
    depth_m: ArrayLike,
    intrinsics: ArrayLike,
    T_world_cam: ArrayLike,
    recipe: PointCloudRecipe,
    *,
    image: ArrayLike | None = None,
    disturbance: Disturbance | None = None,
) -> NDArray[np.float32]:
    """Unprojects, moves to the world frame, crops and samples, as the recipe says.

    Args:
        depth_m: (H, W), distance along the optical axis, metres. A pixel of depth 0 saw nothing.
        intrinsics: (3, 3) pinhole matrix, pixels.
        T_world_cam: (4, 4) rigid transform, camera to world.
        recipe: the crop box and the number P of points.
        image: (H, W, 3), the color of every pixel, where colors are wanted.
        disturbance: changes points on their way; None changes nothing.

    Returns:
        (P, 3) float32 in the world frame, metres; (P, 6) with the color of each point.

    Raises:
        ObservationError: a shape is wrong, a depth is not finite, or no point lies in the box.

    Example:
        >>> recipe = PointCloudRecipe("top", (0, 0, 0), 8, (-1, -1, 0), (1, 1, 2), points=16)
        >>> intrinsics = [[8, 0, 4], [0, 8, 4], [0, 0, 1]]
        >>> cloud_from_depth(np.ones((8, 8)), intrinsics, np.eye(4), recipe).shape
        (16, 3)
    """
    camera_points = depth_to_points(depth_m, intrinsics)
    points = to_world(camera_points, T_world_cam)
    if disturbance is not None:
        points = disturbance.points(points)
    inside = crop(points, recipe.crop_min, recipe.crop_max) & (camera_points[:, 2] > 0)
    if disturbance is not None:
        inside = disturbance.kept(points, inside)
    points = points[inside]
    if image is not None:
        colors = np.asarray(image)
        if colors.shape != (*np.shape(depth_m), 3):
            raise ObservationError(
                "the color image must have the size of the depth image",
                received=(colors.shape, np.shape(depth_m)),
            )
        points = np.concatenate([points, colors.reshape(-1, 3)[inside]], axis=1, dtype=np.float32)
    cloud = sample(points, recipe.points)
    return cloud if disturbance is None else disturbance.sampled(cloud)
