"""Reading datasets: ours (zarr format 3), and those of the DP3 family (format 2) as they are."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.episode import Episode, colors_of_floats
from mfpolicy.data.schema import DatasetSpec
from mfpolicy.data.stored_array import StoredArray
from mfpolicy.data.structure import read_structure
from mfpolicy.errors import DataError
from mfpolicy.types import XYZRGB


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk, validated in structure; nothing of its steps is in memory.

    Attributes:
        path: its folder.
        spec: what it says of itself; notes are ``None`` where a foreign dataset does not say.
        episode_ends: (E,) int64, cumulative and exclusive.
        seeds: (E,) int64, or ``None`` where a foreign dataset does not say.
        success: (E,) bool, or ``None`` likewise.
        zarr_format: 2 or 3.
        attributes: all root attributes.

    Example:
        >>> dataset = open_dataset("data/drawer-open.zarr")             # doctest: +SKIP
        >>> dataset.episode_count, dataset.step_count, dataset.spec.points  # doctest: +SKIP
        (10, 978, 512)
    """

    path: Path
    spec: DatasetSpec
    episode_ends: np.ndarray
    seeds: np.ndarray | None
    success: np.ndarray | None
    zarr_format: int
    attributes: dict[str, Any]
    _arrays: dict[str, StoredArray]

    @property
    def episode_count(self) -> int:
        """E, the number of finished episodes."""
        return len(self.episode_ends)

    @property
    def step_count(self) -> int:
        """N, the number of steps of all finished episodes."""
        return int(self.episode_ends[-1]) if len(self.episode_ends) else 0

    @property
    def journal(self) -> dict[str, Any]:
        """Notes of the process that filled the dataset; empty where it left none."""
        return dict(self.attributes.get("journal") or {})

    @property
    def array_names(self) -> list[str]:
        """Names of the arrays that hold one row a step."""
        return sorted(self._arrays)

    def array(self, name: str) -> Any:
        """Returns the zarr array ``data/<name>``.

        It may be longer than :attr:`step_count`: an interrupted writer leaves rows that no
        finished episode owns. ``stored(name).read(...)`` explains damage; indexing does not.

        Raises:
            DataError: the dataset has no such array.
        """
        return self.stored(name).array

    def stored(self, name: str) -> StoredArray:
        """Returns ``data/<name>`` with its origin, for reads whose errors say where.

        Raises:
            DataError: the dataset has no such array.
        """
        if name not in self._arrays:
            raise DataError(
                f"{self.path} has no array 'data/{name}'",
                remedy="choose one of " + ", ".join(self.array_names),
            )
        return self._arrays[name]

    def bounds(self, index: int) -> tuple[int, int]:
        """Returns the first step of episode ``index`` and the one after its last.

        Raises:
            DataError: there is no such episode.
        """
        if not 0 <= index < self.episode_count:
            raise DataError(
                f"{self.path} has the episodes 0 to {self.episode_count - 1}", received=index
            )
        start = int(self.episode_ends[index - 1]) if index else 0
        return start, int(self.episode_ends[index])

    def read_points(self, start: int, stop: int, points: int | None = None) -> np.ndarray:
        """Returns the first ``points`` points of steps ``start`` to ``stop``, (L, points, 3).

        A stored cloud is in farthest-point order, so its prefix is again such a sample. Clouds
        with colors beside the coordinates (six channels) give their coordinates.

        Raises:
            DataError: a chunk is damaged.
        """
        xyz = self.stored("point_cloud").read(start, stop, slice(0, points), slice(0, 3))
        with np.errstate(over="ignore"):  # beyond float32: infinite, which training refuses
            return xyz.astype(np.float32, copy=False)

    @property
    def has_color(self) -> bool:
        """Whether the colors of the points are stored."""
        return "color" in self._arrays or self.stored("point_cloud").array.shape[2] == XYZRGB

    def read_colors(self, start: int, stop: int, points: int | None = None) -> np.ndarray:
        """Returns red, green and blue of what :meth:`read_points` returns, (L, points, 3) uint8.

        Raises:
            DataError: no colors are stored, or not one of 8 bits for each point, or a chunk is
                damaged.
        """
        if not self.has_color:
            raise DataError(
                "the dataset must store the colors of its points",
                received=f"{self.path}, without data/color",
                remedy="collect it with store_extras=true, or train without policy.color",
            )
        if "color" not in self._arrays:
            rgb = self.stored("point_cloud").read(start, stop, slice(0, points), slice(3, 6))
            return colors_of_floats(rgb)
        stored = self._arrays["color"]
        if stored.array.dtype != np.uint8 or stored.array.shape[1:] != (self.spec.points, 3):
            raise DataError(
                f"'data/color' of {self.path} must be uint8 of shape (N, {self.spec.points}, 3)",
                received=f"{stored.array.dtype} {stored.array.shape}",
            )
        return stored.read(start, stop, slice(0, points))

    def episode(self, index: int, extras: Collection[str] | None = None) -> Episode:
        """Reads episode ``index`` with all its arrays, or with the named ones of the extras only.

        Raises:
            DataError: there is no such episode, or a chunk is damaged.
        """
        start, stop = self.bounds(index)
        read = {
            name: self._arrays[name].read(start, stop)
            for name in self.array_names
            if name not in ("point_cloud", "state", "action", "color")
            and (extras is None or name in extras)
        }
        return Episode(
            point_cloud=self.read_points(start, stop),
            agent_pos=self.stored("state").read(start, stop).astype(np.float32, copy=False),
            action=self.stored("action").read(start, stop).astype(np.float32, copy=False),
            seed=None if self.seeds is None else int(self.seeds[index]),
            success=None if self.success is None else bool(self.success[index]),
            color=self.read_colors(start, stop) if self.has_color else None,
            extras=read,
        )


def open_dataset(path: str | os.PathLike[str]) -> Dataset:
    """Opens the dataset at ``path`` and validates its structure.

    Values are not read here: NaN and infinity are found when the data is loaded for training,
    damage inside a chunk when that chunk is read.

    Raises:
        DataError: the path does not exist, is no dataset, has no finished episode, was written by
            a newer version, is inconsistent in its shapes or episode ends, or misses chunks.
    """
    dataset = open_even_if_empty(path)
    if dataset.episode_count == 0:
        raise DataError(
            "a dataset must have at least one finished episode",
            received=str(dataset.path),
            remedy="collect demonstrations first",
        )
    return dataset


def open_even_if_empty(path: str | os.PathLike[str]) -> Dataset:
    """Opens a dataset as :func:`open_dataset` does, but accepts one without finished episodes.

    Raises:
        DataError: as :func:`open_dataset`.
    """
    root = Path(path).expanduser()
    try:
        structure = read_structure(root)
    except OSError as error:
        raise DataError(
            f"the dataset must be readable: {error}",
            received=str(root),
            remedy="check the permissions and the disk",
        ) from error
    return Dataset(
        path=structure.root,
        spec=structure.spec,
        episode_ends=structure.meta["episode_ends"],
        seeds=structure.meta.get("episode_seed"),
        success=structure.meta.get("episode_success"),
        zarr_format=structure.zarr_format,
        attributes=structure.attributes,
        _arrays=structure.arrays,
    )
