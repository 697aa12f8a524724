"""Depth image → points → world frame → crop box → farthest-point sample.

The same steps run in simulation and on a robot, so a `PointCloudRecipe` travels with every
dataset and every policy. Frames: *camera* is the optical frame (x right, y down, z forward),
*world* is the fixed frame of the scene. All lengths are metres. M counts points, C extra channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfpolicy.errors import DataError, ObservationError, did_you_mean

SAMPLINGS = ("fps",)
FRAMES = ("world",)

# Below this size the kd-tree of fpsample cannot be built and plain numpy is as fast.
_SMALL_CLOUD = 256


@dataclass(frozen=True)
class PointCloudRecipe:
    """How a point cloud is made, in full: what a robot must repeat to see what the policy saw.

    Attributes:
        camera: name of the camera in the scene.
        camera_position: its position in the world frame, metres.
        image_size: side of the square depth image, pixels.
        crop_min, crop_max: corners of the box that is kept, world frame, metres.
        points: P, points of a cloud.
        sampling: how P points are chosen; ``fps`` is farthest-point sampling.
        frame: the frame of the points; ``world``.

    Raises:
        DataError: a value is missing, has the wrong size, or cannot be.

    Example:
        >>> recipe = PointCloudRecipe("top", (0, 0, 1), 84, (-1, -1, 0), (1, 1, 1), points=512)
        >>> PointCloudRecipe.from_dict(recipe.to_dict()) == recipe
        True
    """

    camera: str
    camera_position: tuple[float, float, float]
    image_size: int
    crop_min: tuple[float, float, float]
    crop_max: tuple[float, float, float]
    points: int
    sampling: str = "fps"
    frame: str = "world"

    def __post_init__(self) -> None:
        for name in ("camera_position", "crop_min", "crop_max"):
            object.__setattr__(self, name, _three_numbers(name, getattr(self, name)))
        for name in ("image_size", "points"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise DataError(f"{name} must be a whole number, at least 1", received=value)
        if not all(low < high for low, high in zip(self.crop_min, self.crop_max, strict=True)):
            raise DataError(
                "every coordinate of crop_min must be below that of crop_max",
                received={"crop_min": self.crop_min, "crop_max": self.crop_max},
            )
        for name, known in (("sampling", SAMPLINGS), ("frame", FRAMES)):
            if getattr(self, name) not in known:
                raise DataError(
                    f"{name} of a point-cloud recipe must be one of {list(known)}",
                    received=getattr(self, name),
                )

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON-able values (tuples become lists)."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PointCloudRecipe:
        """The recipe that `to_dict` wrote.

        Raises:
            DataError: a key is unknown or missing, or a value does not fit.
        """
        names = [field.name for field in fields(cls)]
        for key in values:
            if key not in names:
                raise DataError(
                    "a point-cloud recipe has no key of this name",
                    received=key,
                    remedy=did_you_mean(str(key), names),
                )
        required = [field.name for field in fields(cls) if field.default is MISSING]
        missing = [name for name in required if name not in values]
        if missing:
            raise DataError(f"a point-cloud recipe needs the keys {missing}")
        return cls(**values)


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
        minimum, maximum: corners of the box, metres.

    Returns:
        (M,) boolean mask.

    Raises:
        ObservationError: there are fewer than three channels.

    Example:
        >>> crop([[0, 0, 0.1], [0, 0, -0.1]], (-1, -1, 0), (1, 1, 1)).tolist()
        [True, False]
    """
    xyz = _points(points_world)[:, :3]
    low, high = np.asarray(minimum, np.float32), np.asarray(maximum, np.float32)
    return ((xyz > low) & (xyz < high)).all(axis=1)


def sample(points: ArrayLike, count: int) -> NDArray[np.float32]:
    """Chooses ``count`` points by farthest-point sampling on xyz, in the order they are chosen.

    The first point is the one farthest from the corner ``2·min − max`` of the cloud; each next
    one is the point farthest from all chosen before it. So the choice depends on the set of
    points, not on their order, and a prefix of a sample is the smaller sample:
    ``sample(p, m)[:n] == sample(p, n)``. A cloud smaller than ``count`` is repeated cyclically.

    Args:
        points: (M, 3+C); the first three channels are xyz.
        count: how many rows to return.

    Returns:
        (count, 3+C) float32.

    Raises:
        ObservationError: there is no point, a value is not finite, or count is below 1.

    Example:
        >>> line = [[x, 0, 0] for x in range(5)]
        >>> sample(line, 3)[:, 0].tolist()
        [4.0, 0.0, 2.0]
    """
    cloud = _points(points)
    if count < 1:
        raise ObservationError("count must be at least 1", received=count)
    if len(cloud) == 0:
        raise ObservationError(
            "a point cloud needs at least one point inside the crop box",
            received=0,
            remedy="check the camera pose and the crop box",
        )
    if not np.isfinite(cloud).all():
        raise ObservationError("every coordinate and channel of a point must be finite")
    xyz = np.ascontiguousarray(cloud[:, :3])
    order = _farthest_points(xyz, min(count, len(cloud)))
    return cloud[np.resize(order, count)]


def _farthest_points(xyz: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Indices of `sample`, by fpsample where it is there and pays."""
    if len(xyz) < _SMALL_CLOUD:
        return _farthest_points_numpy(xyz, count)
    try:
        import fpsample
    except ImportError:
        return _farthest_points_numpy(xyz, count)
    # fpsample (1.0.2) counts its start index after the kd-tree has reordered the points. The
    # anchor is below every split, hence stays first; it is at least a cloud diameter away from
    # every point, hence decides only which point comes second. The rest is the exact algorithm.
    anchored = np.concatenate([_anchor(xyz)[None], xyz])
    chosen = fpsample.bucket_fps_kdline_sampling(anchored, count + 1, h=5, start_idx=0)
    return chosen[1:].astype(np.int64) - 1


def _farthest_points_numpy(xyz: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Indices of `sample`, step by step: the definition, and the way without fpsample."""
    chosen = np.empty(count, dtype=np.int64)
    chosen[0] = np.argmax(_squared_distance(xyz, _anchor(xyz)))
    distance = np.full(len(xyz), np.inf, dtype=np.float32)
    for step in range(1, count):
        distance = np.minimum(distance, _squared_distance(xyz, xyz[chosen[step - 1]]))
        distance[chosen[step - 1]] = -1.0  # never twice, even where points coincide
        chosen[step] = np.argmax(distance)
    return chosen


def _anchor(xyz: NDArray[np.float32]) -> NDArray[np.float32]:
    """A corner outside the cloud, at least its diameter away from each of its points."""
    low = xyz.min(axis=0)
    return low - (xyz.max(axis=0) - low) - np.float32(1e-3)


def _squared_distance(
    xyz: NDArray[np.float32], point: NDArray[np.float32]
) -> NDArray[np.float32]:
    offset = xyz - point
    return np.einsum("ij,ij->i", offset, offset)


def _points(points: ArrayLike) -> NDArray[np.float32]:
    cloud = np.asarray(points, dtype=np.float32)
    if cloud.ndim != 2 or cloud.shape[1] < 3:
        raise ObservationError("points must be (M, 3 or more)", received=cloud.shape)
    return cloud


def _three_numbers(name: str, value: object) -> tuple[float, float, float]:
    try:
        x, y, z = (float(number) for number in value)  # type: ignore[union-attr]
    except (TypeError, ValueError):
        raise DataError(f"{name} must be three numbers", received=value) from None
    if not np.isfinite((x, y, z)).all():
        raise DataError(f"{name} must be finite", received=value)
    return x, y, z
