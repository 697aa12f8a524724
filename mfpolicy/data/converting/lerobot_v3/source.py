"""LeRobotDataset v3 → a dataset of ours."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.converting.base import FORMATS, Source, Target, digest, extra_name, provenance
from mfpolicy.data.converting.clouds import DEFAULT_POINTS, CloudMaker
from mfpolicy.data.converting.exporting import read_notes
from mfpolicy.data.converting.foreign import bounded
from mfpolicy.data.converting.lerobot_v3 import info as layout_of
from mfpolicy.data.converting.lerobot_v3.info import Feature, read_info
from mfpolicy.data.converting.lerobot_v3.reading import LeRobotReader
from mfpolicy.data.converting.placing import CameraLayout, CropLayout, camera_notes
from mfpolicy.data.episode import Episode
from mfpolicy.data.schema import DatasetSpec
from mfpolicy.errors import ConfigError, DataError

_OWN = {*layout_of.DEFAULTS, layout_of.SUCCESS}


@dataclass(frozen=True)
class LeRobotLayout:
    """Which features of a LeRobotDataset are what.

    Attributes:
        state, action: features (S,) and (A,).
        point_cloud: feature (P, 3), or (P, 6) with colors 0 to 255; None: the one whose name
            holds ``point_cloud``.
        color: feature (P, 3) uint8 of the points' colors; None: ``observation.point_cloud_color``
            if there is one.
        camera: makes the clouds of depth images, where there is no feature of points.
        crop: box that is kept of such clouds, and of stored ones.
    """

    state: str = layout_of.STATE
    action: str = layout_of.ACTION
    point_cloud: str | None = None
    color: str | None = None
    camera: CameraLayout | None = None
    crop: CropLayout | None = None


@FORMATS.register("lerobot")
class LeRobotSource(Source):
    """A folder of a LeRobotDataset v3 with point clouds, or with depth and a camera's parameters.

    Raises:
        BackendError: pyarrow or av is missing.
        ConfigError: it has no clouds, and no camera is named that could make them.
        DataError: it is damaged, of another version, or has no such features.
    """

    layout_kind = LeRobotLayout

    def __init__(self, path: Path, target: Target) -> None:
        layout = target.layout or LeRobotLayout()
        self._info, self._layout, self._target = read_info(path), layout, target
        features = self._info.features
        self._cloud = _cloud_name(layout, features)
        self._color = layout.color or (layout_of.COLOR if layout_of.COLOR in features else None)
        self._matrix = None if layout.camera is None else layout.camera.matrix(path.name)
        state, action = (_vector(features, name) for name in (layout.state, layout.action))
        notes = read_notes(path / layout_of.NOTES).get("spec")
        there = _spec(notes, features, self._cloud) if self._cloud else None
        stored = features[self._cloud].shape[0] if self._cloud else DEFAULT_POINTS
        points = target.points or stored
        self._keep_order = there is not None and points <= stored and layout.crop is None
        self._maker = CloudMaker(points, layout.crop)
        self._reader = LeRobotReader(path, self._info, self._needed())
        self.count = self._reader.count
        self.sha256 = digest(self._reader.identity())
        recipe = None if there is None or there.recipe is None else there.recipe
        if recipe is not None and recipe.parts > 1 and not self._keep_order:
            raise ConfigError(
                "clouds of cameras that are kept apart are read as they were written",
                received=f"points={points} of {stored}" + (", a crop" if layout.crop else ""),
                remedy="leave points and crop out, or ask for fewer points",
            )
        success = "next.success" if layout_of.SUCCESS in features else "not recorded; assumed"
        self.spec = DatasetSpec(
            task=_task(target, there, state, action),
            control_rate_hz=self._info.rate_hz,
            expert=f"lerobot {path.name} sha256:{self.sha256}" if there is None else there.expert,
            recipe=None if recipe is None else dataclasses.replace(recipe, points=points),
            camera=camera_notes(layout.camera, self._matrix) if there is None else there.camera,
            state_dim=state,
            action_dim=action,
            points=points,
            extra=provenance(
                "lerobot", path, self.sha256, success=success, robot=self._info.robot,
                tasks=self._reader.tasks,
                frame="world" if there is not None or layout.camera else "the source's own",
            ),
        )  # fmt: skip

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with LeRobot's description and its list of episodes."""
        return (path / layout_of.INFO).is_file() and (path / "data").is_dir()

    def episode(self, index: int) -> Episode:
        """Reads one episode.

        Raises:
            DataError: a file is damaged, or does not hold what the description says.
        """
        found = self._reader.episode(index)
        layout, extras = self._layout, {}
        clouds, colors = self._clouds(found, index)
        taken = {layout.state, layout.action, self._cloud, self._color, *_OWN}
        if self._target.store_extras:
            for name, values in found.items():
                if name not in taken:
                    short = name.removeprefix(layout_of.IMAGES).removeprefix(layout_of.OBSERVATION)
                    extras[extra_name(short, extras)] = values
        success = found.get(layout_of.SUCCESS)
        seed = self._reader.seed(index)
        length = len(found[layout.action])
        return Episode(
            point_cloud=clouds,
            agent_pos=found[layout.state].reshape(length, -1),
            action=found[layout.action].reshape(length, -1),
            seed=index if seed is None else seed,
            success=True if success is None else bool(success.any()),
            color=colors if self._target.store_extras else None,
            extras=extras,
        )

    def close(self) -> None:
        """Closes the files."""
        self._reader.close()

    def _needed(self) -> list[str]:
        """Names of the features that are read."""
        layout, features = self._layout, self._info.features
        camera = layout.camera
        wanted = [layout.state, layout.action, self._cloud, self._color]
        if camera is not None:
            wanted += [camera.depth, camera.color]
        named = [name for name in dict.fromkeys(wanted) if name is not None]
        for name in named:
            if name not in features:
                raise DataError(
                    f"the dataset has no feature '{name}'",
                    received=sorted(features),
                    remedy="name the features in layout=FILE.yaml",
                )
        if camera is not None and camera.metres_per_unit is not None:
            depth = features[camera.depth]
            if depth.is_depth and depth.dtype in ("video", "image"):
                raise ConfigError(
                    f"the feature '{camera.depth}' itself says its unit",
                    received=f"camera.metres_per_unit {camera.metres_per_unit}",
                    remedy="leave metres_per_unit out of the layout",
                )
        if layout_of.SUCCESS in features:
            named.append(layout_of.SUCCESS)
        if self._target.store_extras:
            kinds = (*layout_of.NUMBERS, "video", "image")
            named += [name for name, each in features.items()
                      if each.dtype in kinds and name not in (*named, *_OWN)]  # fmt: skip
        return named

    def _clouds(
        self, found: dict[str, np.ndarray], index: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(L, P, 3) and colors (L, P, 3) uint8 or None."""
        layout, points = self._layout, self._maker.points
        if self._cloud is None:
            camera = layout.camera
            assert camera is not None
            assert self._matrix is not None
            images = found[camera.color] if camera.color else None
            return self._maker.of_images(found[camera.depth], images, camera, self._matrix, index)
        rows = found[self._cloud]
        colors = found[self._color] if self._color else None
        if self._keep_order:
            return rows[:, :points, :3], None if colors is None else colors[:, :points]
        pose = None if layout.camera is None else np.asarray(layout.camera.T_world_cam, float)
        return self._maker.of_rows(rows, colors, pose, index)


def _cloud_name(layout: LeRobotLayout, features: dict[str, Feature]) -> str | None:
    """The feature of points; None where a camera's depth makes them."""
    if layout.point_cloud is not None:
        _require_points(layout.point_cloud, features)
    if layout.point_cloud is not None or layout.camera is not None:
        return layout.point_cloud
    found = [
        name for name, each in features.items()
        if re.search("point_?cloud", name) and _is_points(each) and each.dtype.startswith("float")
    ]  # fmt: skip
    if len(found) != 1:
        depth = [name for name, each in features.items() if each.is_depth or "depth" in name]
        raise ConfigError(
            "a dataset needs one feature of point clouds (P, 3 or 6), or depth and its camera",
            received=f"clouds: {found or 'none'}, depth: {depth or 'none'}",
            remedy="say point_cloud, or camera with depth, intrinsics and T_world_cam, in "
            "layout=FILE.yaml (docs/data.md)",
        )
    return found[0]


def _is_points(feature: Feature) -> bool:
    return (
        len(feature.shape) == 2
        and feature.shape[1] in (3, 6)
        and feature.dtype in layout_of.NUMBERS
    )


def _require_points(name: str, features: dict[str, Feature]) -> None:
    feature = features.get(name)
    if feature is None or not _is_points(feature):
        there = [each for each, value in features.items() if _is_points(value)]
        raise DataError(
            f"the dataset must have the feature '{name}', points (P, 3) or (P, 6) a step",
            received=f"features of points: {there or 'none'}"
            if feature is None
            else (feature.dtype, feature.shape),
            remedy="name the points in point_cloud of layout=FILE.yaml",
        )


def _vector(features: dict[str, Feature], name: str) -> int:
    feature = features.get(name)
    if feature is None or len(feature.shape) != 1 or feature.dtype not in layout_of.NUMBERS:
        raise DataError(
            f"the dataset must have the feature '{name}', one row of numbers a step",
            received=sorted(features) if feature is None else (feature.dtype, feature.shape),
            remedy="name state and action in layout=FILE.yaml",
        )
    bounded(name, feature.shape, 8)
    return feature.shape[0]


def _spec(notes: Any, features: dict[str, Feature], cloud: str) -> DatasetSpec | None:
    """What the dataset said of itself before it was written as LeRobot's; None if it did not."""
    if not isinstance(notes, dict) or notes.get("points") != features[cloud].shape[0]:
        return None
    try:
        return DatasetSpec.from_dict(notes)
    except (DataError, KeyError, TypeError):
        return None


def _task(target: Target, there: DatasetSpec | None, state: int, action: int) -> str | None:
    task = target.task
    if task is None:
        return None if there is None else there.task
    if (task.state_dim, task.action_dim) != (state, action):
        raise DataError(
            f"{task.name} has {task.state_dim} state and {task.action_dim} action dimensions",
            received=(state, action),
            remedy="choose the task that was recorded",
        )
    return task.name
