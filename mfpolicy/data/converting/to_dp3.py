"""Datasets of ours as DP3, FlowPolicy and MP1 read them: zarr of format 2, in DP3's frame.

Clouds of Adroit go from the world frame to DP3's own (:mod:`mfpolicy.data.converting.dp3_frame`);
those of other tasks keep the world frame, and the notes say so. Colors stand beside the
coordinates, 0 to 255. What DP3 has no name for (seeds, success, the recipe) goes to ``.zattrs``,
which its reader does not look at.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.converting.dp3_frame import TASKS, from_world_frame
from mfpolicy.data.converting.exporting import EXPORTS, Export, Order
from mfpolicy.data.episode import Episode

_ENDS = "meta/episode_ends"
_ENDS_PER_CHUNK = 1024
_ROWS_PER_CHUNK = 100  # as in DP3's own files


@EXPORTS.register("dp3")
class Dp3Export(Export):
    """``data/point_cloud``, ``data/state``, ``data/action``, extras, ``meta/episode_ends``."""

    note_file = ".zattrs"

    def __init__(self, draft: Path, order: Order) -> None:
        import zarr

        from mfpolicy.data.durable import DurableStore, write_durably

        group = draft / ".zgroup"
        if not group.is_file():
            write_durably(group, json.dumps({"zarr_format": 2}).encode())
        self._store = DurableStore(draft)
        self._root: Any = zarr.open_group(self._store, mode="r+", zarr_format=2)
        self._order = order
        self._ends = self._committed()
        self.done = len(self._ends)

    @classmethod
    def notes(cls, order: Order) -> dict[str, Any]:
        """Frame of the clouds and the dataset's own specification."""
        spec = order.dataset.spec
        frame = "DP3's own" if _is_dp3s(order) else "as in the source"
        return {"frame": frame, "spec": spec.to_dict()}

    def append(self, episode: Episode) -> None:
        """Writes the steps, then the end that makes them count."""
        arrays = self._arrays(episode)
        before = self._ends[-1] if self._ends else 0
        after = before + len(episode)
        for name, values in arrays.items():
            array = self._open(f"data/{name}", values.shape[1:], values.dtype, _ROWS_PER_CHUNK)
            array.resize((after, *values.shape[1:]))
            array[before:after] = values
        ends = self._open(_ENDS, (), np.dtype(np.int64), _ENDS_PER_CHUNK)
        ends.resize((len(self._ends) + 1,))
        ends[len(self._ends)] = after
        self._ends.append(after)
        self.done = len(self._ends)

    def finish(self) -> None:
        """Cuts off what an interrupted call wrote beyond the last end."""
        for _, array in self._root["data"].arrays():
            array.resize((self._ends[-1], *array.shape[1:]))
        self._root[_ENDS].resize((self.done,))

    def _committed(self) -> list[int]:
        """Ends that are on the disk: an interrupted call may leave a zero behind them."""
        if _ENDS not in self._root:
            return []
        ends = np.asarray(self._root[_ENDS][:])
        return [int(end) for end in ends[: np.argmin(ends) if 0 in ends else None]]

    def _open(self, name: str, row: tuple[int, ...], dtype: np.dtype, rows_per_chunk: int) -> Any:
        if name in self._root:
            return self._root[name]
        from numcodecs import Blosc

        return self._root.create_array(
            name, shape=(0, *row), chunks=(rows_per_chunk, *row), dtype=dtype,
            compressors=Blosc(cname="zstd", clevel=3, shuffle=Blosc.SHUFFLE),
            config={"write_empty_chunks": True},
        )  # fmt: skip

    def _arrays(self, episode: Episode) -> dict[str, np.ndarray]:
        """The arrays of DP3's names."""
        points = self._order.points
        cloud = episode.point_cloud[:, :points]
        task, recipe = self._order.dataset.spec.task, self._order.dataset.spec.recipe
        if _is_dp3s(self._order):
            assert task is not None
            assert recipe is not None
            cloud = from_world_frame(cloud, task, recipe).astype(np.float32)
        if self._order.store_extras and episode.color is not None:
            color = episode.color[:, :points].astype(np.float32)
            cloud = np.concatenate([cloud, color], axis=2)
        arrays = {"point_cloud": cloud, "state": episode.agent_pos, "action": episode.action}
        return {**(episode.extras if self._order.store_extras else {}), **arrays}


def _is_dp3s(order: Order) -> bool:
    """Whether DP3 makes clouds of this task, and this dataset says how its own were made."""
    spec = order.dataset.spec
    return (
        spec.task in TASKS and spec.recipe is not None
        and spec.recipe.camera_orientation is not None and len(spec.recipe.views) == 1
    )  # fmt: skip
