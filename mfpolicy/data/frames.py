"""Steps of a dataset as float32 in memory, or streamed chunk by chunk; NaN never passes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np

from mfpolicy.data.reader import Dataset
from mfpolicy.errors import DataError
from mfpolicy.types import XYZRGB

_BLOCK_BYTES = 64 << 20


class FrameReader:
    """Reads steps of a dataset, each checked to be finite.

    Args:
        dataset: where from.
        points: length n of the prefix of every point cloud.
        color: whether red, green and blue follow x, y, z.

    Attributes:
        point_dim: C, values per point, 3 or 6.
        cloud_bytes: what a cloud takes in memory.
    """

    def __init__(self, dataset: Dataset, points: int, *, color: bool = False) -> None:
        self.dataset, self.points = dataset, points
        self.point_dim = XYZRGB if color else 3
        self.cloud_bytes = 4 * points * self.point_dim
        self.rows_per_chunk = dataset.stored("point_cloud").rows_per_chunk

    def clouds(self, start: int, stop: int) -> np.ndarray:
        """Returns the points of steps ``start`` to ``stop``, (L, n, C).

        Raises:
            DataError: a chunk is damaged, a value is NaN or infinite, or colors are not stored.
        """
        clouds = self._finite(
            "point_cloud", start, self.dataset.read_points(start, stop, self.points)
        )
        if self.point_dim == 3:
            return clouds
        colors = self.dataset.read_colors(start, stop, self.points)
        return np.concatenate([clouds, colors], axis=2, dtype=np.float32)

    def rows(self, name: str, spans: Sequence[tuple[int, int]]) -> np.ndarray:
        """Returns the array ``name`` over ``spans`` of steps, one after the other.

        Raises:
            DataError: as :meth:`clouds`.
        """
        stored = self.dataset.stored(name)
        parts = []
        for start, stop in spans:
            with np.errstate(over="ignore"):  # beyond float32: infinite, which is refused
                part = stored.read(start, stop).astype(np.float32, copy=False)
            parts.append(self._finite(name, start, part))
        return np.concatenate(parts)

    def cloud_blocks(self, spans: Sequence[tuple[int, int]]) -> Iterator[np.ndarray]:
        """Yields the points over ``spans`` in blocks that end with chunks, to decode each once."""
        size = self.rows_per_chunk
        chunks = max(1, _BLOCK_BYTES // (size * self.cloud_bytes))
        for start, stop in spans:
            first = start
            while first < stop:
                last = min(stop, (first // size + chunks) * size)
                yield self.clouds(first, last)
                first = last

    def _finite(self, name: str, start: int, values: np.ndarray) -> np.ndarray:
        if np.isfinite(values).all():
            return values
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)  # (L,)
        row = start + int(np.argmin(finite))
        episode = int(np.searchsorted(self.dataset.episode_ends, row, side="right"))
        raise DataError(
            f"training data must be finite, but 'data/{name}' of {self.dataset.path} "
            f"has NaN or infinity in episode {episode} at step "
            f"{row - self.dataset.bounds(episode)[0]}",
            remedy=f"leave the episode out (episodes=...), or collect it again (row {row})",
        )


class CloudStream:
    """Point clouds by step, straight from the disk, with the chunks used last kept in memory.

    Threads may share a stream: one reads at a time.

    Args:
        reader: where from.
        cache_bytes: what the kept chunks may take; one chunk is always kept.
    """

    def __init__(self, reader: FrameReader, cache_bytes: int) -> None:
        self._reader = reader
        self._capacity = max(1, cache_bytes // (reader.rows_per_chunk * reader.cloud_bytes))
        self._chunks: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def gather(self, steps: np.ndarray) -> np.ndarray:
        """Returns the clouds of ``steps`` (n,), in that order, (n, points, C).

        Raises:
            DataError: a chunk is damaged, or a value is NaN or infinite.
        """
        unique, inverse = np.unique(steps, return_inverse=True)
        shape = (len(unique), self._reader.points, self._reader.point_dim)
        clouds = np.empty(shape, np.float32)
        size = self._reader.rows_per_chunk
        chunks, starts = np.unique(unique // size, return_index=True)
        for chunk, start, stop in zip(chunks, starts, [*starts[1:], len(unique)], strict=True):
            clouds[start:stop] = self._chunk(int(chunk))[unique[start:stop] - chunk * size]
        return clouds[inverse]

    def _chunk(self, index: int) -> np.ndarray:
        with self._lock:
            return self._kept_chunk(index)

    def _kept_chunk(self, index: int) -> np.ndarray:
        if index in self._chunks:
            self._chunks.move_to_end(index)
            return self._chunks[index]
        size = self._reader.rows_per_chunk
        stop = min((index + 1) * size, self._reader.dataset.step_count)
        clouds = self._reader.clouds(index * size, stop)
        self._chunks[index] = clouds
        while len(self._chunks) > self._capacity:
            self._chunks.popitem(last=False)
        return clouds
