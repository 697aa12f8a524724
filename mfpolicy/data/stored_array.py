"""One array of a dataset on disk: opened with suspicion, read with errors that say where."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mfpolicy.data.codecs import codec_chain, size_fault, unsafe_codecs
from mfpolicy.data.declared import impossible_sizes, require_short_lists
from mfpolicy.data.inside import RESTORE as _RESTORE
from mfpolicy.data.inside import plain, read_json, regular_size, require_folder
from mfpolicy.errors import DataError

METADATA_FILES = {2: ".zarray", 3: "zarr.json"}
MAX_CHUNKS = 1 << 20
"""Most files of one array; the smallest useful chunk is one step."""
_MUCH, _MOST_RATIO = 8 << 30, 1000  # zeros of an honest length compress better


@dataclass(frozen=True)
class ChunkFault:
    """What is wrong with one chunk file.

    Attributes:
        row: the first row of the chunk. kind: missing, size or foreign (no file of the dataset's
            own). why: in words. error: what the system said, where it did.
    """

    row: int
    kind: Literal["missing", "size", "foreign"]
    why: str
    error: Exception | None = None


@dataclass(frozen=True)
class StoredArray:
    """A zarr array and where it comes from.

    Attributes:
        root: the dataset. name: path in it, for example ``data/state``. array: the zarr array.
        codecs: names of its codecs, outermost last.
    """

    root: Path
    name: str
    array: Any
    codecs: tuple[str, ...]

    @classmethod
    def open(cls, root: Path, name: str, zarr_format: Literal[2, 3]) -> StoredArray:
        """Opens ``name`` of the dataset at ``root`` without reading any of its chunks.

        Raises:
            DataError: it is missing or malformed, or declares a codec or a chunk size that could
                do harm.
        """
        import zarr

        try:
            require_folder(root, name)
        except OSError as error:
            raise DataError(
                f"a dataset must have the array '{name}'", received=str(root), remedy=_RESTORE
            ) from error
        folder = root / name
        metadata = read_json(root, folder / METADATA_FILES[zarr_format])
        if zarr_format == 2 and (folder / ".zattrs").is_symlink() | (folder / ".zattrs").exists():
            read_json(root, folder / ".zattrs")  # zarr reads it whatever its size
        try:
            require_short_lists(metadata)
            chain = codec_chain(metadata)
            unsafe = unsafe_codecs(chain)
            if unsafe:
                raise DataError(
                    f"'{name}' of {root} uses a codec that a dataset may not use",
                    received=plain(", ".join(unsafe)),
                    remedy="store the array with Blosc, zstd or gzip alone",
                )
            array = zarr.open_array(str(root), path=name, mode="r", zarr_format=zarr_format)
            stored = cls(root, name, array, tuple(codec["name"] for codec in chain))
            impossible = impossible_sizes(array.shape, stored.chunk_shape, array.dtype.itemsize)
        except DataError:
            raise
        except Exception as error:  # zarr raises many kinds for malformed metadata
            raise DataError(
                f"'{name}' of {root} has metadata that cannot be read: {plain(error)}",
                remedy=_RESTORE,
            ) from error
        if impossible:
            raise DataError(
                f"'{name}' of {root} declares an impossible size",
                received=plain(f"shape {array.shape}, chunks {stored.chunk_shape}"),
                remedy=_RESTORE,
            )
        return stored

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Shape of what one file holds."""
        return self.array.chunks

    @property
    def rows_per_chunk(self) -> int:
        """Steps that one file holds."""
        return self.chunk_shape[0]

    def __len__(self) -> int:
        return self.array.shape[0]

    @property
    def row_bytes(self) -> int:
        """Bytes of one decoded row."""
        return math.prod(self.array.shape[1:]) * self.array.dtype.itemsize

    def check_chunks(self, rows: int, *, missing_ok: bool = False) -> None:
        """Checks that a whole file lies behind every chunk of the first ``rows`` rows.

        It compares sizes only, so it is fast; it bounds what a reader will ever allocate.

        Raises:
            DataError: a file is missing (unless ``missing_ok``), truncated, or not of the dataset.
        """
        for fault in self.chunk_faults(rows):
            if not (missing_ok and fault.kind == "missing"):
                raise self.damaged(fault.row, fault.why) from fault.error

    def chunk_faults(self, rows: int) -> Iterator[ChunkFault]:
        """Yields what is wrong with the files behind the first ``rows`` rows, in their order.

        Raises:
            DataError: there are more chunks than a dataset may have, or they would decode to far
                more than their files can hold.
        """
        stored = 0
        for count, (row, key) in enumerate(self._chunk_keys(0, rows)):
            if count == MAX_CHUNKS:
                raise DataError(
                    f"'{self.name}' of {self.root} may have at most {MAX_CHUNKS} chunks",
                    received=f"shape {self.array.shape}, chunks {self.chunk_shape}",
                    remedy="store more steps in a chunk",
                )
            size, fault = self._look_at(row, key, deep=False)
            stored += size
            if fault is not None:
                yield fault
        decoded = rows * self.row_bytes
        if decoded > _MUCH and decoded > _MOST_RATIO * stored:
            raise DataError(
                f"'{self.name}' of {self.root} may be at most {_MOST_RATIO} times its files",
                received=f"{decoded} bytes in {stored}",
                remedy="leave the array out: it holds next to nothing",
            )

    def read(self, start: int, stop: int, *columns: slice) -> np.ndarray:
        """Returns rows ``start`` to ``stop``, restricted to ``columns`` of the other axes.

        Raises:
            DataError: a chunk is damaged; the message names it and its steps.
        """
        if self._deflates:
            for row, key in self._chunk_keys(start, stop):
                _, fault = self._look_at(row, key, deep=True)
                if fault is not None and fault.kind != "missing":
                    raise self.damaged(row, fault.why)
        try:
            return np.asarray(self.array[(slice(start, stop), *columns)])
        except Exception as error:  # the codecs raise whatever they like
            step = self._first_unreadable(start, stop)
            raise self.damaged(step, plain(error)) from error

    def _first_unreadable(self, start: int, stop: int) -> int:
        size = self.rows_per_chunk
        for first in range(start - start % size, stop, size):
            try:
                self.array[first : min(first + size, len(self))]
            except Exception:
                return first
        return start

    def _chunk_keys(self, start: int, stop: int) -> Iterator[tuple[int, str]]:
        """Yields the first row and the key of each chunk with rows from ``start`` to ``stop``."""
        size = self.rows_per_chunk
        sizes, chunks = self.array.shape[1:], self.chunk_shape[1:]
        counts = [-(-side // chunk) for side, chunk in zip(sizes, chunks, strict=True)]
        for first in range(start // size, -(-stop // size)):
            for rest in _grid(counts):
                yield first * size, self.array.metadata.encode_chunk_key((first, *rest))

    def _look_at(self, row: int, key: str, *, deep: bool) -> tuple[int, ChunkFault | None]:
        """The bytes of a chunk file, and what is wrong with it."""
        try:
            size = regular_size(self.root, f"{self.name}/{key}", self._known_folders)
        except DataError as error:
            return 0, ChunkFault(row, "foreign", str(error), error)
        except OSError as error:
            return 0, ChunkFault(row, "missing", f"file {key} is missing", error)
        full = math.prod(self.chunk_shape) * self.array.dtype.itemsize
        file = self.root / self.name / key
        why = size_fault(file, size, self.codecs, full, deep=deep)
        return size, ChunkFault(row, "size", why) if why else None

    @functools.cached_property
    def _known_folders(self) -> set[str]:
        return set()

    @property
    def _deflates(self) -> bool:
        return bool({"gzip", "zlib"} & set(self.codecs))

    def damaged(self, step: int, why: str) -> DataError:
        """What to raise, or to tell, of the chunk with row ``step``."""
        size = self.rows_per_chunk
        first = step - step % size
        last = min(first + size, len(self)) - 1
        unit = "steps" if self.name.startswith("data/") else "episodes"
        return DataError(
            f"'{self.name}' of {self.root} is damaged in chunk {first // size} "
            f"({unit} {first} to {last}): {why}",
            remedy=_RESTORE,
        )


def _grid(counts: list[int]) -> Iterator[tuple[int, ...]]:
    """All indices of a grid, one by one: declared counts may be absurd."""
    if not counts:
        yield ()
        return
    for first in range(counts[0]):
        for rest in _grid(counts[1:]):
            yield (first, *rest)
