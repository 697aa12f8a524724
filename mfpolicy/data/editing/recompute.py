"""Point clouds once more from stored depth: another crop box, another number of points."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from mfpolicy.data.camera import camera_matrices
from mfpolicy.data.editing.rewriting import EditReport, Plan, Progress, open_source, rewrite
from mfpolicy.data.episode import Episode
from mfpolicy.data.reader import Dataset
from mfpolicy.errors import ConfigError, DataError, ObservationError
from mfpolicy.pointcloud import PointCloudRecipe, cloud_from_depth, depth_to_points, to_world

DEPTH, IMAGE = "depth", "image"
TOLERANCE_M = 1e-3
"""How far a stored point may lie from the surface that the stored depth shows."""


def recompute(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    crop_min: Sequence[float] | None = None,
    crop_max: Sequence[float] | None = None,
    points: int | None = None,
    trust: bool = False,
    progress: Progress | None = None,
) -> EditReport:
    """Makes the clouds of ``source`` again from its depth images, into ``out``.

    It needs ``data/depth`` (N, H, W), metres along the optical axis, the camera (``intrinsics``,
    ``T_world_cam``) and the recipe; colors need ``data/image`` (N, H, W, 3) uint8. ``mfpolicy
    collect … store_images=true`` stores all of these. With the recipe unchanged, the clouds of
    such a dataset come out bit for bit as they are.

    Before anything is written, the stored clouds are held against the stored depth at the first
    step of every episode: each point must lie within a millimetre of what the depth shows.

    Args:
        source: the dataset.
        out: folder of the dataset to write, or to continue.
        crop_min: lower corner of the box that is kept, world frame, metres; None leaves it.
        crop_max: its upper corner.
        points: points per cloud; None leaves them.
        trust: do not hold the clouds against the depth, for clouds that were filtered.
        progress: called after each episode.

    Raises:
        DataError: depth, camera, recipe or color images are missing or do not fit, the clouds
            were not made of this depth, no point lies in the box at some step; or as
            :func:`~mfpolicy.data.editing.rewriting.rewrite`.

    Example:
        >>> recompute("data/a.zarr", "data/a-low.zarr", crop_max=(0.5, 1, 0.3))  # doctest: +SKIP
    """
    dataset = open_source(source)
    camera = _DepthCamera.of(dataset)
    assert dataset.spec.recipe is not None
    changes: dict[str, Any] = {
        name: value
        for name, value in (("crop_min", crop_min), ("crop_max", crop_max), ("points", points))
        if value is not None
    }
    recipe = _changed(dataset.spec.recipe, changes)
    notes = {} if trust else {"clouds against depth": _compared(dataset, camera)}
    plan = Plan(
        operation="recompute",
        options={**changes, "trust": trust},
        sources=[dataset],
        picks=[(0, index) for index in range(dataset.episode_count)],
        spec=dataclasses.replace(dataset.spec, recipe=recipe, points=recipe.points),
        change=lambda episode, pick: camera.seen(episode, recipe, pick[1]),
    )
    return dataclasses.replace(rewrite(plan, out, progress), notes=notes)


@dataclasses.dataclass(frozen=True)
class _DepthCamera:
    """What turns a stored depth image into points; colors whether there are images for them."""

    intrinsics: np.ndarray
    T_world_cam: np.ndarray
    colors: bool

    @classmethod
    def of(cls, dataset: Dataset) -> _DepthCamera:
        """The camera of ``dataset``; a DataError says what it lacks."""
        arrays = set(dataset.array_names)
        if DEPTH not in arrays:
            raise _lacks(dataset, f"the array data/{DEPTH}", "collect it with store_images=true")
        if dataset.spec.recipe is None:
            raise _lacks(dataset, "the recipe of its point clouds", "convert it with its task")
        if dataset.spec.recipe.further_cameras:
            raise _lacks(dataset, "clouds of a single camera", "collect it anew")
        depth = dataset.array(DEPTH)
        if depth.ndim != 3 or depth.dtype.kind != "f":
            raise DataError(
                f"data/{DEPTH} must be (N, H, W) floating point, in metres",
                received=f"{depth.dtype} {depth.shape}",
            )
        colors = "color" in arrays
        if colors and IMAGE not in arrays:
            raise _lacks(
                dataset,
                f"data/{IMAGE}, the colors of its depth image",
                "leave the colors out first: mfpolicy data subset … arrays=depth",
            )
        image = dataset.array(IMAGE) if colors else None
        if image is not None and (image.shape[1:] != (*depth.shape[1:], 3) or image.dtype != "u1"):
            raise DataError(
                f"data/{IMAGE} must be (N, H, W, 3) uint8, as large as data/{DEPTH}",
                received=f"{image.dtype} {image.shape}, depth {depth.shape}",
            )
        matrices = camera_matrices(dataset.spec)
        if matrices is None:
            raise _lacks(
                dataset, "intrinsics (3, 3) and T_world_cam (4, 4) of its camera", "collect it anew"
            )
        return cls(*matrices, colors)

    def seen(self, episode: Episode, recipe: PointCloudRecipe, index: int) -> Episode:
        """The episode with clouds made of its depth; pixels without depth (0) show nothing."""
        clouds = []
        for step, depth in enumerate(episode.extras[DEPTH]):
            image = episode.extras[IMAGE][step] if self.colors else None
            try:
                clouds.append(self._cloud(depth, recipe, image))
            except ObservationError as error:
                raise DataError(
                    f"step {step} of episode {index}: {error.rule}",
                    received={"crop_min": recipe.crop_min, "crop_max": recipe.crop_max},
                    remedy="make the box larger, or leave the episode out",
                ) from error
        cloud = np.stack(clouds)
        color = cloud[..., 3:].astype(np.uint8) if self.colors else None
        return dataclasses.replace(episode, point_cloud=cloud[..., :3].copy(), color=color)

    def _cloud(
        self, depth: np.ndarray, recipe: PointCloudRecipe, image: np.ndarray | None
    ) -> np.ndarray:
        return cloud_from_depth(depth, self.intrinsics, self.T_world_cam, recipe, image=image)

    def surface(self, depth: np.ndarray) -> np.ndarray:
        """(M, 3) every point that the depth shows, world frame."""
        return to_world(depth_to_points(depth, self.intrinsics), self.T_world_cam)


def _compared(dataset: Dataset, camera: _DepthCamera) -> str:
    """Holds the first cloud of every episode against its depth; says how far they are apart."""
    from scipy.spatial import KDTree

    worst = 0.0
    for index in range(dataset.episode_count):
        start, _ = dataset.bounds(index)
        depth = dataset.stored(DEPTH).read(start, start + 1)[0]
        cloud = dataset.read_points(start, start + 1)[0]
        apart, _ = KDTree(camera.surface(depth)).query(cloud)
        worst = max(worst, float(np.max(apart)))
        if not worst <= TOLERANCE_M:  # also for NaN
            raise DataError(
                f"the clouds must be made of the stored depth, within {TOLERANCE_M:g} m",
                received=f"a point of episode {index} lies {worst:.3g} m beside it",
                remedy="check unit (metres), camera pose and orientation of the depth images; "
                "trust=true for clouds that were filtered",
            )
    return f"within {worst:.1g} m" if worst else "the same points"


def _changed(recipe: PointCloudRecipe, changes: dict[str, Any]) -> PointCloudRecipe:
    try:
        return dataclasses.replace(recipe, **changes)
    except DataError as error:
        raise ConfigError(f"the new recipe cannot be: {error}") from error


def _lacks(dataset: Dataset, what: str, remedy: str) -> DataError:
    return DataError(f"recompute needs {what}", received=str(dataset.path), remedy=remedy)
