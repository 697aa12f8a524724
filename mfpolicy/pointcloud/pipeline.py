"""Depth images → the point cloud of a recipe: the whole way, in one call or camera by camera."""

from __future__ import annotations

from collections.abc import Sequence
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
    """Unprojects, moves to the world frame, crops and samples, as the recipe of one camera says.

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
        ObservationError: a shape is wrong, a depth is not finite, no point lies in the box, or
            the recipe has further cameras.

    Example:
        >>> recipe = PointCloudRecipe("top", (0, 0, 0), 8, (-1, -1, 0), (1, 1, 2), points=16)
        >>> intrinsics = [[8, 0, 4], [0, 8, 4], [0, 0, 1]]
        >>> cloud_from_depth(np.ones((8, 8)), intrinsics, np.eye(4), recipe).shape
        (16, 3)
    """
    points = points_from_depth(
        depth_m, intrinsics, T_world_cam, recipe, image=image, disturbance=disturbance
    )
    return cloud_of_cameras([points], recipe, disturbance=disturbance)


def points_from_depth(
    depth_m: ArrayLike,
    intrinsics: ArrayLike,
    T_world_cam: ArrayLike,
    recipe: PointCloudRecipe,
    *,
    image: ArrayLike | None = None,
    disturbance: Disturbance | None = None,
) -> NDArray[np.float32]:
    """All points (M, 3 or 6) of one camera that lie in the recipe's box, not sampled; M may be 0.

    Args and errors are those of :func:`cloud_from_depth`.
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
    return points


def cloud_of_cameras(
    points: Sequence[ArrayLike],
    recipe: PointCloudRecipe,
    *,
    disturbance: Disturbance | None = None,
) -> NDArray[np.float32]:
    """The cloud (P, C) of what each camera sees inside the box, as ``recipe.clouds`` says.

    Args:
        points: an array (M, C) of each camera, in the recipe's order; world frame, metres.
        recipe: of K cameras. ``merged`` joins the points and samples P; of ``apart`` see
            :func:`sample_in_turns`.
        disturbance: changes the finished cloud; None changes nothing.

    Raises:
        ObservationError: there are not as many arrays as cameras, or no point where one is needed.

    Example:
        >>> recipe = PointCloudRecipe("a", (0, 0, 0), 8, (-1, -1, 0), (1, 1, 2), points=4,
        ...     further_cameras=[{"camera": "b", "camera_position": (0, 0, 1)}], clouds="apart")
        >>> cloud_of_cameras([np.zeros((9, 3)), np.ones((7, 3))], recipe)[:, 0].tolist()
        [0.0, 1.0, 0.0, 1.0]
    """
    views = recipe.views
    if len(points) != len(views):
        raise ObservationError(
            "a point cloud needs the points of every camera of its recipe",
            received=f"{len(points)} of {', '.join(view.camera for view in views)}",
            remedy="give an array of points for each",
        )
    for view, seen in zip(views, points, strict=True):
        if recipe.parts > 1 and not len(np.asarray(seen)):
            raise ObservationError(
                "with clouds=apart every camera needs a point inside the crop box",
                received=f"none of {view.camera}",
                remedy="check its pose and the crop box, or take clouds=merged",
            )
    together = points if recipe.parts > 1 or len(points) == 1 else [np.concatenate(points)]
    cloud = sample_in_turns(together, recipe.points)
    return cloud if disturbance is None else disturbance.sampled(cloud)


def sample_in_turns(points: Sequence[ArrayLike], count: int) -> NDArray[np.float32]:
    """Samples ``count`` / K of each of K clouds; point i of the result is of cloud i mod K.

    Args:
        points: K arrays (M, C).
        count: a multiple of K.

    Raises:
        ObservationError: as :func:`sample`.
    """
    share = count // len(points)
    return np.stack([sample(each, share) for each in points], axis=1).reshape(count, -1)
