"""Datasets of the DP3 family (zarr format 2), those of VRL3's experts on Adroit among them.

Clouds of Adroit go to the world frame (:mod:`mfpolicy.data.converting.dp3_frame`); those of other
tasks keep the frame they are in, and the dataset says no recipe. Colors are split off, the zeros
that fill up small clouds are left out, and every cloud is put into farthest-point order.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.converting.base import FORMATS, Source, Target, provenance
from mfpolicy.data.converting.dp3_frame import (
    TASKS,
    camera_pose,
    focal_length_px,
    to_world_frame,
)
from mfpolicy.data.episode import Episode
from mfpolicy.data.fingerprint import fingerprint
from mfpolicy.data.reader import Dataset, open_dataset
from mfpolicy.data.schema import DatasetSpec
from mfpolicy.errors import DataError
from mfpolicy.pointcloud import PointCloudRecipe, sample

_NAME = re.compile(r"(adroit|metaworld)_(.+?)(_expert)?\.zarr\Z")
_IMAGE_SIZE = 84  # of DP3's Adroit clouds, where the dataset has no image to ask


@FORMATS.register("dp3")
class Dp3Source(Source):
    """A folder with ``data/point_cloud``, ``data/state``, ``data/action``, ``meta/episode_ends``.

    Raises:
        DataError: it is damaged, its dimensions are not the task's, or DP3 makes no clouds of the
            task.
    """

    def __init__(self, path: Path, target: Target) -> None:
        self._dataset = open_dataset(path)
        if self._dataset.zarr_format != 2:
            raise DataError(
                "a dataset of DP3 must be of zarr format 2",
                received=self._dataset.zarr_format,
                remedy="datasets of mfpolicy need no conversion",
            )
        self.count = self._dataset.episode_count
        self.sha256 = fingerprint(path)
        self._target = target
        there = self._dataset.spec
        self._points = target.points or there.points
        task = target.task
        if task is not None and (task.state_dim, task.action_dim) != (
            there.state_dim,
            there.action_dim,
        ):
            raise DataError(
                f"{task.name} has {task.state_dim} state and {task.action_dim} action dimensions",
                received=(there.state_dim, there.action_dim),
                remedy="choose the task that was recorded",
            )
        self._recipe = self._seen_recipe()
        note = "not recorded; taken for successes, which is what DP3's generators keep"
        self.spec = DatasetSpec(
            task=None if task is None else task.name,
            control_rate_hz=None if task is None else task.control_rate_hz,
            expert=f"dp3 {path.name} sha256:{self.sha256}",
            recipe=self._recipe,
            camera=None if self._recipe is None else _camera(self._recipe),
            state_dim=there.state_dim,
            action_dim=there.action_dim,
            points=self._points,
            extra=provenance(
                "dp3", path, self.sha256, success=note,
                frame="the source's own" if self._recipe is None else "world",
            ),
        )  # fmt: skip

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A zarr group of format 2 with point clouds."""
        return (path / ".zgroup").is_file() and (path / "data" / "point_cloud").is_dir()

    @classmethod
    def task_of(cls, path: Path) -> str | None:
        """``adroit_door_expert.zarr`` is of adroit/door."""
        match = _NAME.match(path.name)
        return None if match is None else f"{match[1]}/{match[2]}"

    def episode(self, index: int) -> Episode:
        """Reads and converts one episode.

        Raises:
            DataError: a chunk is damaged, or a cloud has no point.
        """
        there = self._dataset.episode(index)
        frames = [self._frame(there, step, index) for step in range(len(there))]
        rows = np.stack(frames)  # (L, P, 3), or (L, P, 6) with colors
        extras = self._target.store_extras
        color = rows[..., 3:].astype(np.uint8) if extras and rows.shape[-1] == 6 else None
        return Episode(
            point_cloud=rows[..., :3].copy(),
            agent_pos=there.agent_pos,
            action=there.action,
            seed=index,
            success=True,
            color=color,
            extras=there.extras if extras else {},
        )

    def _seen_recipe(self) -> PointCloudRecipe | None:
        """How Adroit's clouds would be made here; None for tasks whose frame stays as it is."""
        task, recipe = self._target.task, self._target.recipe
        if task is None or recipe is None or task.suite != "adroit":
            return None
        if task.name not in TASKS:
            raise DataError(
                "DP3 makes clouds of " + ", ".join(TASKS) + " only, so their frame is known",
                received=task.name,
            )
        size = _image_size(self._dataset)
        return dataclasses.replace(recipe, image_size=size, points=self._points)

    def _frame(self, there: Episode, step: int, index: int) -> np.ndarray:
        """(P, 3) or (P, 6): one cloud in farthest-point order, in its new frame."""
        points = there.point_cloud[step]
        real = points.any(axis=1)  # DP3 fills up small clouds with zeros
        if not real.any() or not np.isfinite(points).all():
            raise DataError(
                "a cloud must have finite points",
                received=f"{int(real.sum())} points at step {step} of episode {index}",
            )
        xyz = points[real]
        if self._recipe is not None:
            assert self._target.task is not None
            xyz = to_world_frame(xyz, self._target.task.name, self._recipe)
        if there.color is not None:
            xyz = np.concatenate([xyz, there.color[step][real]], axis=1)
        return sample(xyz.astype(np.float32), self._points)


def _image_size(dataset: Dataset) -> int:
    for name in ("depth", "img"):
        if name in dataset.array_names:
            return int(dataset.array(name).shape[1])
    return _IMAGE_SIZE


def _camera(recipe: PointCloudRecipe) -> dict[str, Any]:
    """As the simulators describe their cameras."""
    focal, centre = focal_length_px(recipe.image_size), recipe.image_size / 2
    return {
        "intrinsics": [[focal, 0.0, centre], [0.0, focal, centre], [0.0, 0.0, 1.0]],
        "T_world_cam": camera_pose(recipe).tolist(),
        "image_size": recipe.image_size,
    }
