"""Where the rows and frames of each episode lie, and the arrays that they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.converting.foreign import MAX_EPISODES, bounded, inside
from mfpolicy.data.converting.lerobot_v3 import info as layout
from mfpolicy.data.converting.lerobot_v3.columns import RowStream, from_column
from mfpolicy.data.converting.lerobot_v3.info import Feature, Info
from mfpolicy.data.converting.lerobot_v3.video import picture_size, read_picture, read_video
from mfpolicy.data.converting.packages import required
from mfpolicy.errors import DataError

_MAX_LIST_BYTES = 1 << 30
_PLACES = ("chunk_index", "file_index")
_TASKS = 20


class LeRobotReader:
    """Episodes of one dataset by number, arrays by feature.

    Args:
        root: the dataset.
        info: its description.
        features: names of those that are read.

    Raises:
        DataError: the list of episodes is damaged, or contradicts the description.
    """

    def __init__(self, root: Path, info: Info, features: list[str]) -> None:
        self._root, self._info = root, info
        self._names = features
        self._stream: RowStream | None = None
        kinds = {name: info.features[name].dtype for name in features}
        self._columns = [name for name in features if kinds[name] != "video"]
        self._videos = [name for name in features if kinds[name] == "video"]
        self._rows = self._episodes()
        self.count = len(self._rows["length"])
        self._first = self._first_steps()
        self.tasks = self._task_texts()

    def identity(self) -> Iterator[bytes]:
        """What tells the dataset from another: descriptions, and names and sizes of its files."""
        for file in sorted(self._root.rglob("*")):
            within = file.relative_to(self._root).parts
            if not file.is_file() or within[0] not in ("meta", "data", "videos"):
                continue
            yield "/".join(within).encode()
            is_small = within[0] == "meta" and file.stat().st_size <= _MAX_LIST_BYTES
            yield file.read_bytes() if is_small else str(file.stat().st_size).encode()

    def seed(self, index: int) -> int | None:
        """The seed that a dataset of ours had; None where none is written down."""
        seeds = self._rows.get(layout.SEED)
        return None if seeds is None or seeds[index] < 0 else int(seeds[index])

    def episode(self, index: int) -> dict[str, np.ndarray]:
        """The arrays of episode ``index``, L rows each, by feature.

        Raises:
            DataError: a file is damaged, or does not hold what the description says.
        """
        length = int(self._rows["length"][index])
        start = int(self._rows["dataset_from_index"][index])
        for name in self._names:
            shape = self._stored_shape(self._info.features[name])
            bounded(name, (length, *shape), 8 if name in self._columns else 4)
        place = self._place("data", index)
        stream = self._open(layout.DATA_PATH.format(**place))
        begin = start - self._first[tuple(place.values())]
        table = stream.read(begin, begin + length)
        steps = from_column(table.column("index"), (1,), "index")
        if not np.array_equal(steps, np.arange(start, start + length)):
            raise DataError(
                f"rows {begin} to {begin + length} of {stream.path} must be the steps {start} to "
                f"{start + length}",
                received=steps[:3].tolist(),
            )
        found = {name: self._column(table, name) for name in self._columns}
        for name in self._videos:
            place = self._place(f"videos/{name}", index)
            file = inside(self._root, layout.VIDEO_PATH.format(video_key=name, **place))
            start_s = float(self._rows[f"videos/{name}/from_timestamp"][index])
            feature = self._info.features[name]
            found[name] = read_video(file, feature, start_s, length, self._info.rate_hz)
        return found

    def close(self) -> None:
        """Closes the file of data."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _open(self, relative: str) -> RowStream:
        path = inside(self._root, relative)
        if self._stream is None or self._stream.path != path:
            self.close()
            widths = {
                name: int(np.prod(self._info.features[name].shape))
                for name in self._columns if self._info.features[name].dtype != "image"
            }  # fmt: skip
            columns = [*self._columns, "index"]
            self._stream = RowStream(path, columns, {**widths, "index": 1})
        return self._stream

    def _column(self, table: Any, name: str) -> np.ndarray:
        feature, column = self._info.features[name], table.column(name)
        if feature.dtype != "image":
            return from_column(column, feature.shape, name).astype(feature.dtype, copy=False)
        return np.stack([
            read_picture(value.get("bytes") if isinstance(value, dict) else None, feature, name)
            for value in column.to_pylist()
        ])  # fmt: skip

    def _stored_shape(self, feature: Feature) -> tuple[int, ...]:
        if feature.dtype in ("video", "image"):
            return (*picture_size(feature), 1 if feature.is_depth else 3)
        return feature.shape

    def _place(self, kind: str, index: int) -> dict[str, int]:
        return {name: int(self._rows[f"{kind}/{name}"][index]) for name in _PLACES}

    def _episodes(self) -> dict[str, np.ndarray]:
        """Columns of ``meta/episodes``, without its statistics."""
        pq = required("pyarrow.parquet", "LeRobot's format")
        wanted = ["episode_index", "length", "dataset_from_index", "dataset_to_index"]
        kinds = ["data", *(f"videos/{name}" for name in self._videos)]
        wanted += [f"{kind}/{name}" for kind in kinds for name in _PLACES]
        wanted += [f"videos/{name}/from_timestamp" for name in self._videos]
        found: dict[str, list[np.ndarray]] = {name: [] for name in (*wanted, layout.SEED)}
        files = sorted(self._root.glob("meta/episodes/chunk-*/file-*.parquet"))
        listed_so_far = 0
        for file in files:
            path = inside(self._root, str(file.relative_to(self._root)))
            try:
                listed = pq.ParquetFile(path)
                listed_so_far += listed.metadata.num_rows
                if path.stat().st_size > _MAX_LIST_BYTES or listed_so_far > MAX_EPISODES:
                    raise DataError(
                        f"{path} and those before must list at most {MAX_EPISODES} episodes"
                    )
                there = [name for name in found if name in listed.schema_arrow.names]
                table = listed.read(columns=there)
            except DataError:
                raise
            except Exception as error:
                raise DataError(f"{path} must be a parquet file: {error}") from error
            for name in there:
                found[name].append(from_column(table.column(name), (1,), name))
        columns = {name: np.concatenate(parts) for name, parts in found.items() if parts}
        self._check(columns, wanted)
        return columns

    def _check(self, columns: dict[str, np.ndarray], wanted: list[str]) -> None:
        info, missing = self._info, [name for name in wanted if name not in columns]
        if missing:
            raise DataError(f"{self._root}/meta/episodes must have the columns {missing}")
        sizes = {len(column) for column in columns.values()}
        length = columns["length"].astype(np.int64)
        begin, end = columns["dataset_from_index"], columns["dataset_to_index"]
        if (
            sizes != {info.episodes} or length.min() < 1 or int(length.sum()) != info.steps
            or not np.array_equal(columns["episode_index"], np.arange(info.episodes))
            or not np.array_equal(end, np.cumsum(length)) or not np.array_equal(begin, end - length)
        ):  # fmt: skip
            raise DataError(
                f"meta/episodes of {self._root} must list {info.episodes} episodes of "
                f"{info.steps} steps, one behind the other",
                received=f"{sizes} episodes, {int(length.sum())} steps",
            )
        for name in wanted:
            if name.endswith("_index") and "/" in name and (columns[name] < 0).any():
                raise DataError(f"{name} of meta/episodes must not be negative")
            if name.endswith("_timestamp") and not np.isfinite(columns[name]).all():
                raise DataError(f"{name} of meta/episodes must be finite")

    def _first_steps(self) -> dict[tuple[int, ...], int]:
        """The first step of each file of data."""
        first: dict[tuple[int, ...], int] = {}
        for index in range(self.count):
            key = tuple(self._place("data", index).values())
            first.setdefault(key, int(self._rows["dataset_from_index"][index]))
        return first

    def _task_texts(self) -> list[str]:
        """The first texts of tasks, for the notes."""
        pq = required("pyarrow.parquet", "LeRobot's format")
        if not (self._root / layout.TASKS).is_file():
            return []
        path = inside(self._root, layout.TASKS)
        try:
            table = next(pq.ParquetFile(path).iter_batches(batch_size=_TASKS), None)
        except Exception as error:
            raise DataError(f"{path} must be a parquet file: {error}") from error
        if table is None:
            return []
        names = [name for name in table.schema.names if name != "task_index"]
        values = table.column(names[0]).to_pylist() if names else []
        return [str(text)[:200] for text in values]
