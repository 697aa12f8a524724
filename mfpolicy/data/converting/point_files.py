"""A folder of point-cloud files → a dataset of ours.

On disk::

    ROOT/EPISODE/000000.ply, 000001.ply, …   a cloud a step: PLY, PCD (with open3d), NPZ, NPY
    ROOT/EPISODE/robot.npz                   state (L, S), action (L, A), stamps_s (L,), success ()
    ROOT/EPISODE/robot.csv                   or so: columns stamp_s, state_0, …, action_0, …

An NPZ file of a cloud has ``points`` (M, 3) and, optionally, ``colors`` (M, 3) from 0 to 255; an
NPY file has (M, 3) or (M, 6). Episodes and files are in the order of their names, numbers in them
by value. Stamps are optional if the layout says the rate; further arrays (L, …) of ``robot.npz``
become extras.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
from mfpolicy.data.converting.foreign import MAX_EPISODES, MAX_STEPS, inside
from mfpolicy.data.converting.npz import read_npz
from mfpolicy.data.converting.placing import CropLayout, positive, rigid
from mfpolicy.data.converting.point_file import SUFFIXES, read_points
from mfpolicy.data.converting.robot_table import read_table
from mfpolicy.data.episode import Episode
from mfpolicy.data.schema import DatasetSpec
from mfpolicy.errors import DataError

_ROBOT = ("robot.npz", "robot.csv")
_IRREGULAR = 0.25  # part of a step that the times between stamps may differ
_OTHER_RATE = 0.05  # part of the rate that those of two episodes may differ
_SLOWEST_HZ = 1e-3


@dataclass(frozen=True)
class FolderLayout:
    """How the files of a folder are to be read.

    Attributes:
        T_world: (4, 4), frame of the points to the world's; None where they are in it.
        metres_per_unit: of the points; 0.001 for millimetres.
        crop: box that is kept.
        rate_hz: steps a second; None: as the stamps say.

    Raises:
        ConfigError: a value does not fit.
    """

    T_world: list | None = None
    metres_per_unit: float = 1.0
    crop: CropLayout | None = None
    rate_hz: float | None = None

    def __post_init__(self) -> None:
        if self.T_world is not None:
            rigid("T_world", self.T_world)
        for name in ("metres_per_unit", "rate_hz"):
            value = getattr(self, name)
            if value is not None:
                positive(name, value)


@FORMATS.register("folder")
class FolderSource(Source):
    """Folders of clouds, one a step, each with the robot's numbers beside them.

    Raises:
        DataError: an episode lacks its numbers, its clouds, or has not one of each a step.
    """

    layout_kind = FolderLayout

    def __init__(self, path: Path, target: Target) -> None:
        self._layout: FolderLayout = target.layout or FolderLayout()
        self._root, self._target = path, target
        if not path.is_dir():
            raise DataError("recordings must be a folder of folders", received=str(path))
        self._episodes = sorted((each for each in path.iterdir() if _robot_file(each)), key=_order)
        self.count = len(self._episodes)
        if not 0 < self.count <= MAX_EPISODES:
            raise DataError(
                f"{path} must have folders with {' or '.join(_ROBOT)}", received=self.count
            )
        self._maker = CloudMaker(target.points or DEFAULT_POINTS, self._layout.crop)
        robot = self._robot(self._episodes[0])
        rate = self._layout.rate_hz or _rate_hz(robot, self._episodes[0])
        self.sha256 = digest(self._identity())
        task = target.task
        self.spec = DatasetSpec(
            task=None if task is None else task.name,
            control_rate_hz=rate,
            expert=f"folder {path.name} sha256:{self.sha256}",
            recipe=None,
            camera=None,
            state_dim=robot["state"].shape[1],
            action_dim=robot["action"].shape[1],
            points=self._maker.points,
            extra=provenance(
                "folder", path, self.sha256, rate="given" if self._layout.rate_hz else "of stamps",
                success="as robot.npz says; assumed where it does not",
            ),
        )  # fmt: skip

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder of folders with the robot's numbers."""
        return path.is_dir() and any(_robot_file(each) for each in path.iterdir())

    def episode(self, index: int) -> Episode:
        """Reads one folder.

        Raises:
            DataError: a file is damaged, there is not a cloud for each row, or its stamps say
                another rate than those of the first folder.
        """
        folder = self._episodes[index]
        robot = self._robot(folder)
        self._require_rate(robot, folder)
        files = _cloud_files(folder)
        length = len(robot["action"])
        if len(files) != length:
            raise DataError(
                f"{folder} must have a cloud for each of {length} rows", received=len(files)
            )
        pose = None if self._layout.T_world is None else np.asarray(self._layout.T_world, float)
        made = []
        for step, name in enumerate(files):
            file = inside(self._root, f"{folder.name}/{name}")
            xyz, colors = read_points(file)
            where = f"at step {step} of {folder.name}"
            made.append(
                self._maker.from_points(xyz * self._layout.metres_per_unit, colors, pose, where)
            )
        colors = [color for _, color in made if color is not None]
        if colors and len(colors) != length:
            raise DataError(f"all clouds of {folder} must have colors, or none")
        success = robot.pop("success", None)
        arrays = {name: robot.pop(name) for name in ("state", "action")}
        extras: dict[str, np.ndarray] = {}
        for name, value in robot.items() if self._target.store_extras else ():
            extras[extra_name(name, extras)] = value
        return Episode(
            point_cloud=np.stack([xyz for xyz, _ in made]),
            agent_pos=arrays["state"],
            action=arrays["action"],
            seed=index,
            success=True if success is None else bool(np.any(success)),
            color=np.stack(colors) if colors and self._target.store_extras else None,
            extras=extras,
        )

    def _robot(self, folder: Path) -> dict[str, np.ndarray]:
        """The robot's numbers by name, checked to be a row a step."""
        name = _robot_file(folder)
        file = inside(self._root, f"{folder.name}/{name}")
        found = read_npz(file) if file.suffix == ".npz" else read_table(file)
        length = len(found["action"]) if found.get("action", np.zeros(0)).ndim == 2 else 0
        if not 1 <= length <= MAX_STEPS or found.get("state", np.zeros(0)).ndim != 2:
            raise DataError(
                f"{file} must have state (L, S) and action (L, A)",
                received={each: value.shape for each, value in found.items()},
            )
        for each, value in found.items():
            if each != "success" and (value.ndim == 0 or len(value) != length):
                raise DataError(f"'{each}' of {file} must have {length} rows", received=value.shape)
        return found

    def _require_rate(self, robot: dict[str, np.ndarray], folder: Path) -> None:
        """Refuses an episode of another rate; a single step has none."""
        if self._layout.rate_hz is not None or len(robot.get("stamps_s", ())) == 1:
            return
        rate, first = _rate_hz(robot, folder), self.spec.control_rate_hz
        assert first is not None
        if abs(rate - first) > _OTHER_RATE * first:
            raise DataError(
                f"all episodes must have the rate of the first, {first:g} Hz",
                received=f"{rate:g} Hz in {folder}",
                remedy="take the steps at one rate, or convert such folders apart",
            )

    def _identity(self) -> Iterator[bytes]:
        """The robot's numbers, and names and sizes of the clouds."""
        for folder in self._episodes:
            robot = inside(self._root, f"{folder.name}/{_robot_file(folder)}")
            yield folder.name.encode() + robot.read_bytes()
            for name in _cloud_files(folder):
                yield f"{name} {(folder / name).stat().st_size}".encode()


def _robot_file(folder: Path) -> str | None:
    if not folder.is_dir() or folder.name.startswith("."):
        return None
    return next((name for name in _ROBOT if (folder / name).is_file()), None)


def _cloud_files(folder: Path) -> list[str]:
    """Names of the clouds in their order; files of several kinds are refused."""
    names = [each.name for each in folder.iterdir()
             if each.suffix.lower() in SUFFIXES and each.name not in _ROBOT]  # fmt: skip
    kinds = sorted({Path(name).suffix.lower() for name in names})
    if len(kinds) > 1:
        raise DataError(f"the clouds of {folder} must be files of one kind", received=kinds)
    return sorted(names, key=_order)


def _order(path: Path | str) -> list[tuple[int, str]]:
    """Orders by name, numbers in it by value: 2 before 10."""
    parts = re.findall(r"\d+|\D+", path if isinstance(path, str) else path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _rate_hz(robot: dict[str, np.ndarray], folder: Path) -> float:
    """Steps a second, the median's; stamps that are not regular are refused.

    Raises:
        DataError: there are none or only one, or they are not regular.
    """
    stamps_s = robot.get("stamps_s")
    apart = np.zeros(0) if stamps_s is None else np.diff(stamps_s.astype(np.float64).ravel())
    middle = float(np.median(apart)) if len(apart) else 0.0
    is_rate = 0 < middle <= 1 / _SLOWEST_HZ
    if not is_rate or np.abs(apart - middle).max() > _IRREGULAR * middle:
        count = "no stamps" if stamps_s is None else "one stamp"
        said = f"{apart.min()} to {apart.max()} s" if len(apart) else count
        raise DataError(
            "steps must be equally long, as stamps_s says in seconds",
            received=f"{said} in {folder}",
            remedy="say rate_hz in layout=FILE.yaml, or take the steps at one rate",
        )
    return round(1 / middle, 3)
