"""The files of a LeRobotDataset under way: parts that are whole or not there, and their list."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.converting.lerobot_v3 import info as layout
from mfpolicy.data.converting.lerobot_v3.video import VideoWriter
from mfpolicy.data.converting.packages import required
from mfpolicy.data.durable import PARTIAL_SUFFIX, write_durably

_MB = 1 << 20
_EPISODES_PER_PART = 1000


class Part:
    """One file of data with its videos; a row for each of its episodes.

    Args:
        root: the dataset. number: of the part, from 0. first_step: index of its first step.
    """

    def __init__(self, root: Path, number: int, first_step: int) -> None:
        self._root, self._number = root, number
        self._steps = first_step
        self._data, self._writer = root / layout.file_name(layout.DATA_PATH, number), None
        self._videos: dict[str, VideoWriter] = {}
        self.rows: list[dict[str, Any]] = []

    def append(
        self, index: int, table: Any, pictures: dict[str, np.ndarray], rate_hz: float
    ) -> dict[str, Any]:
        """Writes one episode; returns its row of ``meta/episodes``, to be added to.

        Args:
            index: number of the episode.
            table: its features of numbers, L rows.
            pictures: its videos, (L, H, W, 3) uint8 each.
            rate_hz: frames a second.
        """
        length = table.num_rows
        table = _with_defaults(table, index, self._steps, rate_hz)
        if self._writer is None:
            pq = required("pyarrow.parquet", "LeRobot's format")
            self._data.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(
                _partial(self._data), table.schema, compression="zstd", use_dictionary=False
            )
        self._writer.write_table(table, row_group_size=max(length, 1))
        chunk, file = divmod(self._number, layout.FILES_PER_CHUNK)
        row = {
            "episode_index": index, "length": length,
            "data/chunk_index": chunk, "data/file_index": file,
            "dataset_from_index": self._steps, "dataset_to_index": self._steps + length,
            "meta/episodes/chunk_index": chunk, "meta/episodes/file_index": file,
        }  # fmt: skip
        for name, frames in pictures.items():
            if name not in self._videos:
                path = self._video(name)
                self._videos[name] = VideoWriter(_partial(path), frames.shape[1:3], rate_hz)
            video = self._videos[name]
            row |= {
                f"videos/{name}/chunk_index": chunk, f"videos/{name}/file_index": file,
                f"videos/{name}/from_timestamp": video.frames / rate_hz,
                f"videos/{name}/to_timestamp": (video.frames + length) / rate_hz,
            }  # fmt: skip
            video.append(frames)
        self._steps += length
        self.rows.append(row)
        return row

    @property
    def is_full(self) -> bool:
        """Whether a file has reached its size."""
        videos = [_partial(self._video(name)).stat().st_size for name in self._videos]
        return (
            _partial(self._data).stat().st_size >= layout.DATA_MB * _MB
            or max(videos, default=0) >= layout.VIDEO_MB * _MB
            or len(self.rows) >= _EPISODES_PER_PART
        )

    def close(self) -> None:
        """Makes the files whole and gives them their names."""
        self._end()
        for path in (*map(self._video, self._videos), self._data):
            with _partial(path).open("rb") as file:
                os.fsync(file.fileno())
            _partial(path).replace(path)

    def discard(self) -> None:
        """Removes the files."""
        self._end()
        for path in (*map(self._video, self._videos), self._data):
            _partial(path).unlink(missing_ok=True)

    def _video(self, name: str) -> Path:
        return self._root / layout.file_name(layout.VIDEO_PATH, self._number, video_key=name)

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()
        for video in self._videos.values():
            video.close()


def read_episode_rows(root: Path) -> list[dict[str, Any]]:
    """Rows of all files of ``meta/episodes`` that we wrote, in order."""
    pq = required("pyarrow.parquet", "LeRobot's format")
    rows: list[dict[str, Any]] = []
    for file in sorted(root.glob("meta/episodes/chunk-*/file-*.parquet")):
        rows += pq.read_table(file).to_pylist()
    return rows


def write_episode_rows(root: Path, number: int, rows: list[dict[str, Any]]) -> None:
    """Writes file ``number`` of ``meta/episodes``; what it lists counts from then on."""
    pa, pq = required("pyarrow", "LeRobot's format"), required("pyarrow.parquet", "its files")
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    path = root / layout.file_name(layout.EPISODES_PATH, number)
    write_durably(path, sink.getvalue().to_pybytes())


def write_tasks(root: Path, task: str) -> None:
    """Writes ``meta/tasks.parquet`` of one task, the text as the index that pandas restores."""
    pa, pq = required("pyarrow", "LeRobot's format"), required("pyarrow.parquet", "its files")
    columns = [
        {"name": "task_index", "field_name": "task_index", "pandas_type": "int64",
         "numpy_type": "int64", "metadata": None},
        {"name": "task", "field_name": "task", "pandas_type": "unicode",
         "numpy_type": "object", "metadata": None},
    ]  # fmt: skip
    pandas = {"index_columns": ["task"], "column_indexes": [], "columns": columns}
    table = pa.table({"task_index": pa.array([0], pa.int64()), "task": [task]})
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), sink)
    write_durably(root / layout.TASKS, sink.getvalue().to_pybytes())


def _with_defaults(table: Any, index: int, first_step: int, rate_hz: float) -> Any:
    length = table.num_rows
    steps = np.arange(length)
    values = {
        "timestamp": (steps / rate_hz).astype(np.float32), "frame_index": steps,
        "episode_index": np.full(length, index), "index": first_step + steps,
        "task_index": np.zeros(length, np.int64),
    }  # fmt: skip
    for name, value in values.items():
        kind = np.float32 if name == "timestamp" else np.int64
        table = table.append_column(name, [value.astype(kind)])
    return table


def _partial(path: Path) -> Path:
    return path.with_name(path.name + PARTIAL_SUFFIX)
