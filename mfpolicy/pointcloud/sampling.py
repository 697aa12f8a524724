"""Farthest-point sampling: few points that cover a cloud, best first (Eldar et al., 1997)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfpolicy.errors import ObservationError
from mfpolicy.pointcloud.geometry import as_points

# Below this size the kd-tree of fpsample cannot be built and plain numpy is as fast.
_SMALL_CLOUD = 256


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
    cloud = as_points(points)
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


def _squared_distance(xyz: NDArray[np.float32], point: NDArray[np.float32]) -> NDArray[np.float32]:
    offset = xyz - point
    return np.einsum("ij,ij->i", offset, offset)
