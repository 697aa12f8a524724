"""Robomimic's HDF5 files (Mandlekar et al., 2021) → a dataset of ours.

``data/demo_N`` has ``actions`` (L, A), ``rewards``, ``states`` and ``obs/KEY`` (L, …). The common
files hold no images at all; robomimic's own ``dataset_states_to_obs.py`` renders some. Clouds come
of an observation of points, or of depth images and their camera's parameters, which the file does
not hold.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.converting.base import (
    FORMATS,
    Source,
    Target,
    digest,
    extra_name,
    provenance,
)
from mfpolicy.data.converting.clouds import DEFAULT_POINTS, CloudMaker
from mfpolicy.data.converting.foreign import MAX_STEPS
from mfpolicy.data.converting.hdf5 import Hdf5File, looks_like_hdf5
from mfpolicy.data.converting.placing import CameraLayout, CropLayout, camera_notes, positive, rigid
from mfpolicy.data.episode import Episode
from mfpolicy.data.schema import DatasetSpec
from mfpolicy.errors import ConfigError, DataError

_USUAL_STATE = ("robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos")


@dataclass(frozen=True)
class RobomimicLayout:
    """Which observations of a robomimic file are what.

    Attributes:
        state: observations that make the state, one behind the other.
        point_cloud: observation (L, M, 3), or (L, M, 6) with colors 0 to 255; None: the one whose
            name holds ``point_cloud`` or ``pointcloud``.
        T_world: (4, 4), frame of the stored points to the world's; None where they are in it.
        camera: makes clouds of depth images where there are no stored points.
        crop: box that is kept.
        rate_hz: control rate; None: as the file's environment says.

    Raises:
        ConfigError: a value does not fit.
    """

    state: list = field(default_factory=lambda: list(_USUAL_STATE))
    point_cloud: str | None = None
    T_world: list | None = None
    camera: CameraLayout | None = None
    crop: CropLayout | None = None
    rate_hz: float | None = None

    def __post_init__(self) -> None:
        if self.T_world is not None:
            rigid("T_world", self.T_world)
        if self.rate_hz is not None:
            positive("rate_hz", self.rate_hz)


@FORMATS.register("robomimic")
class RobomimicSource(Source):
    """An HDF5 file of robomimic whose observations hold points, or depth of a known camera.

    Raises:
        BackendError: h5py is missing.
        ConfigError: it holds no clouds, and no camera is named that could make them.
        DataError: it is damaged or lacks an observation.
    """

    layout_kind = RobomimicLayout

    def __init__(self, path: Path, target: Target) -> None:
        layout = target.layout or RobomimicLayout()
        self._file, self._layout, self._target = Hdf5File(path), layout, target
        try:
            self._demos = self._file.numbered("data", "demo_")
            self.count = len(self._demos)
            if not self._demos:
                raise DataError(f"{path} must have demonstrations data/demo_0, data/demo_1, …")
            first = f"data/{self._demos[0]}"
            self._cloud = self._cloud_name(f"{first}/obs")
            self._matrix = None if layout.camera is None else layout.camera.matrix(path.name)
            self._require(f"{first}/obs")
            stored = (
                self._file.shape(f"{first}/obs/{self._cloud}")[1] if self._cloud else DEFAULT_POINTS
            )
            self._maker = CloudMaker(target.points or stored, layout.crop)
            self.sha256 = digest(self._file.identity())
            self.spec = self._described(path, first)
        except BaseException:
            self._file.close()
            raise

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """An HDF5 file with ``data/demo_N``."""
        if not looks_like_hdf5(path):
            return False
        file = Hdf5File(path)
        try:
            return any(name.startswith("demo_") for name in file.names("data"))
        finally:
            file.close()

    def episode(self, index: int) -> Episode:
        """Reads one demonstration.

        Raises:
            DataError: it is damaged, or differs from the first.
        """
        name, layout = f"data/{self._demos[index]}", self._layout
        actions = self._file.read(f"{name}/actions")
        if not 1 <= len(actions) <= MAX_STEPS or actions.ndim != 2:
            raise DataError(f"'{name}/actions' must be (L, A)", received=actions.shape)
        state = np.concatenate([self._obs(name, key, len(actions)).reshape(len(actions), -1)
                                for key in layout.state], axis=1)  # fmt: skip
        clouds, colors = self._clouds(name, index, len(actions))
        extras: dict[str, np.ndarray] = {}
        if self._target.store_extras:
            for key in self._file.arrays(f"{name}/obs"):
                if key not in (*layout.state, self._cloud):
                    extras[extra_name(key, extras)] = self._obs(name, key, len(actions))
            if self._file.has(f"{name}/states"):
                extras[extra_name("full_state", extras)] = self._file.read(f"{name}/states")
        return Episode(
            point_cloud=clouds,
            agent_pos=state,
            action=actions,
            seed=index,
            success=self._success(name),
            color=colors if self._target.store_extras else None,
            extras=extras,
        )

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _obs(self, demo: str, key: str, length: int) -> np.ndarray:
        found = self._file.read(f"{demo}/obs/{key}")
        if found.ndim == 0 or len(found) != length:
            raise DataError(
                f"'{demo}/obs/{key}' must have a row for each of {length} actions",
                received=found.shape,
            )
        return found

    def _clouds(self, demo: str, index: int, length: int) -> tuple[np.ndarray, np.ndarray | None]:
        layout = self._layout
        if self._cloud is not None:
            rows = self._obs(demo, self._cloud, length)
            if rows.ndim != 3 or rows.shape[2] not in (3, 6):
                raise _no_points(self._cloud, rows.shape)
            pose = None if layout.T_world is None else np.asarray(layout.T_world, np.float64)
            return self._maker.of_rows(rows, None, pose, index)
        camera = layout.camera
        assert camera is not None
        assert self._matrix is not None
        depth = self._obs(demo, camera.depth, length)
        images = None if camera.color is None else self._obs(demo, camera.color, length)
        return self._maker.of_images(depth, images, camera, self._matrix, index)

    def _cloud_name(self, obs: str) -> str | None:
        """The observation of points; None where a camera's depth makes them."""
        if self._layout.point_cloud is not None or self._layout.camera is not None:
            return self._layout.point_cloud
        names = self._file.arrays(obs)
        found = [name for name in names if re.search("point_?cloud|pcd", name)]
        if len(found) != 1:
            raise ConfigError(
                "a file of robomimic needs one observation of points, or depth and its camera",
                received=f"observations: {names or 'none'}",
                remedy="render depth with robomimic's dataset_states_to_obs.py --depth, and say "
                "camera with depth, intrinsics and T_world_cam in layout=FILE.yaml (docs/data.md)",
            )
        return found[0]

    def _require(self, obs: str) -> None:
        layout = self._layout
        wanted = [*layout.state, self._cloud]
        wanted += [] if layout.camera is None else [layout.camera.depth, layout.camera.color]
        named = [name for name in wanted if name is not None]
        missing = [name for name in named if not self._file.has(f"{obs}/{name}")]
        if missing or not layout.state:
            raise DataError(
                f"the observations {missing} must be in the file",
                received=self._file.arrays(obs),
                remedy="name those that there are in layout=FILE.yaml",
            )
        shape = self._file.shape(f"{obs}/{self._cloud}") if self._cloud else (1, 1, 3)
        if len(shape) != 3 or shape[2] not in (3, 6):
            raise _no_points(str(self._cloud), shape)

    def _described(self, path: Path, first: str) -> DatasetSpec:
        layout, obs = self._layout, f"{first}/obs"
        env = _environment(self._file.note("data", "env_args"))
        rate = layout.rate_hz or env.get("env_kwargs", {}).get("control_freq")
        self._shaped = bool(env.get("env_kwargs", {}).get("reward_shaping"))
        sizes = [int(np.prod(self._file.shape(f"{obs}/{key}")[1:])) for key in layout.state]
        task = self._target.task
        return DatasetSpec(
            task=None if task is None else task.name,
            control_rate_hz=float(rate) if isinstance(rate, int | float) and rate > 0 else None,
            expert=f"robomimic {path.name} sha256:{self.sha256}",
            recipe=None,
            camera=camera_notes(layout.camera, self._matrix),
            state_dim=sum(sizes),
            action_dim=int(np.prod(self._file.shape(f"{first}/actions")[1:])),
            points=self._maker.points,
            extra=provenance(
                "robomimic", path, self.sha256, environment=str(env.get("env_name"))[:200],
                state=list(layout.state),
                success="a reward above 0; assumed where rewards are shaped or missing",
            ),
        )  # fmt: skip

    def _success(self, demo: str) -> bool:
        if self._shaped or not self._file.has(f"{demo}/rewards"):
            return True
        return bool((self._file.read(f"{demo}/rewards") > 0).any())


def _no_points(name: str, shape: tuple[int, ...]) -> DataError:
    return DataError(
        f"'{name}' must be points (L, M, 3 or 6)",
        received=shape,
        remedy="name the points in point_cloud of layout=FILE.yaml",
    )


def _environment(note: Any) -> dict[str, Any]:
    """The file's description of its environment; empty where it has none that can be read."""
    try:
        found = json.loads(note) if isinstance(note, str) else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or not isinstance(found.get("env_kwargs", {}), dict):
        return {}
    return found
