"""Columns of parquet files ⇄ arrays, and rows read in order without holding a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.converting.foreign import MAX_EPISODE_BYTES, MAX_STEPS
from mfpolicy.data.converting.packages import required
from mfpolicy.errors import DataError

_ROWS_AT_ONCE = 64
_THRIFT_BYTES = 256 << 20  # of the footer of a file; a larger one is taken for malice


def to_column(values: np.ndarray) -> Any:
    """(N, …) → an arrow array of N rows: scalars, a list of fixed size, or nested lists.

    This is how ``datasets`` lays out Value, Sequence of a fixed length, and Array2D to Array5D.
    """
    pa = required("pyarrow", "LeRobot's format")
    rows, shape = len(values), values.shape[1:]
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    if shape in ((), (1,)):
        return flat
    if len(shape) == 1:
        return pa.FixedSizeListArray.from_arrays(flat, shape[0])
    for axis in range(len(shape) - 1, -1, -1):
        count = rows * int(np.prod(shape[:axis], dtype=np.int64))
        offsets = np.arange(count + 1, dtype=np.int64) * shape[axis]
        if offsets[-1] >= 2**31:
            raise DataError(
                "an episode must have below 2^31 values of a feature", received=values.shape
            )
        flat = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), flat)
    return flat


def from_column(column: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """The inverse of :func:`to_column`: (N, *shape), or (N,) for a shape of (1,).

    Raises:
        DataError: a value is missing, or a row has another shape.
    """
    pc = required("pyarrow.compute", "LeRobot's format")
    pa = required("pyarrow", "LeRobot's format")
    levels = () if shape == (1,) else shape
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(flat, pa.ChunkedArray):
        flat = pa.concat_arrays(flat.chunks)
    rows = len(flat)
    for size in levels:
        if not (pa.types.is_list(flat.type) or pa.types.is_fixed_size_list(flat.type)
                or pa.types.is_large_list(flat.type)):  # fmt: skip
            raise _other_shape(name, shape, str(flat.type))
        lengths = pc.list_value_length(flat)
        if flat.null_count or pc.any(pc.not_equal(lengths, size)).as_py():
            raise _other_shape(name, shape, "rows of other lengths, or without a value")
        flat = flat.flatten()
    kind = flat.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise _other_shape(name, shape, str(kind))
    if flat.null_count:
        raise _other_shape(name, shape, "rows without a value")
    return flat.to_numpy(zero_copy_only=False).reshape(rows, *levels)


class RowStream:
    """Rows of one parquet file, asked for in rising order, a few decoded at a time.

    Args:
        path: the file.
        columns: those that are read.
        widths: most values a row of a column may hold, by column.

    Raises:
        DataError: it is no parquet file, lacks a column, or declares more than it may hold.
    """

    def __init__(self, path: Path, columns: list[str], widths: dict[str, int]) -> None:
        pq = required("pyarrow.parquet", "LeRobot's format")
        self.path, self._columns = path, columns
        try:
            self._file = pq.ParquetFile(
                path, thrift_string_size_limit=_THRIFT_BYTES,
                thrift_container_size_limit=10_000_000,
            )  # fmt: skip
        except Exception as error:  # arrow raises many kinds
            raise DataError(f"{path} must be a parquet file: {error}") from error
        missing = set(columns) - set(self._file.schema_arrow.names)
        if missing:
            raise DataError(f"{path} must have the columns {sorted(missing)}")
        meta = self._file.metadata
        self.rows = meta.num_rows
        self._starts = np.cumsum(
            [0, *(meta.row_group(group).num_rows for group in range(meta.num_row_groups))]
        )
        if not 0 < self.rows <= MAX_STEPS or self._starts[-1] != self.rows:
            raise DataError(f"{path} must have 1 to {MAX_STEPS} rows", received=self.rows)
        self._check_sizes(widths)
        self._position, self._left, self._batches = self.rows, [], iter(())

    def read(self, start: int, stop: int) -> Any:
        """Rows ``start`` to ``stop`` as an arrow table.

        Raises:
            DataError: the file has no such rows, or a page of it is damaged.
        """
        pa = required("pyarrow", "LeRobot's format")
        if not 0 <= start < stop <= self.rows:
            raise DataError(
                f"{self.path} must have the rows {start} to {stop}", received=f"{self.rows} rows"
            )
        try:
            if self._position > start or start >= self._group_end(self._position):
                self._restart(start)
            found, have = [], 0
            while have < stop - start:
                batch = self._left.pop() if self._left else next(self._batches)
                skip = min(max(start - self._position, 0), len(batch))
                take = min(len(batch) - skip, stop - start - have)
                found.append(batch.slice(skip, take))
                self._position += skip + take
                if skip + take < len(batch):
                    self._left = [batch.slice(skip + take)]
                have += take
            return pa.Table.from_batches(found)
        except DataError:
            raise
        except Exception as error:
            raise DataError(
                f"rows {start} to {stop} of {self.path} are damaged: {error}",
                remedy="restore the file from a copy",
            ) from error

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _group_end(self, row: int) -> int:
        """First row of the row group behind that of ``row``."""
        return int(self._starts[min(np.searchsorted(self._starts, row, "right"),
                                    len(self._starts) - 1)])  # fmt: skip

    def _restart(self, row: int) -> None:
        group = int(np.searchsorted(self._starts, row, "right")) - 1
        self._position, self._left = int(self._starts[group]), []
        self._batches: Iterator[Any] = self._file.iter_batches(
            batch_size=_ROWS_AT_ONCE,
            row_groups=range(group, self._file.metadata.num_row_groups),
            columns=self._columns,
        )

    def _check_sizes(self, widths: dict[str, int]) -> None:
        meta = self._file.metadata
        for group in range(meta.num_row_groups):
            part = meta.row_group(group)
            for number in range(part.num_columns):
                column = part.column(number)
                path = column.path_in_schema
                names = self._columns
                key = next((k for k in names if path == k or path.startswith(f"{k}.")), "")
                most = part.num_rows * widths.get(key, MAX_EPISODE_BYTES)
                size = column.total_uncompressed_size
                if key and (column.num_values > most or size > MAX_EPISODE_BYTES):
                    raise DataError(
                        f"column {key} of {self.path} declares an impossible size",
                        received=f"{column.num_values} values, {size} bytes",
                    )


def _other_shape(name: str, shape: tuple[int, ...], received: str) -> DataError:
    return DataError(f"every row of '{name}' must have the shape {shape}", received=received)
