"""One array of a dataset on disk: opened with suspicion, read with errors that say where."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mfpolicy.errors import DataError

# Anything else is refused unread: numcodecs has a codec that unpickles, that is, runs code.
_BYTES_CODECS = ("blosc", "zstd", "gzip", "zlib", "bz2", "lz4", "lzma")
_CHECKSUMS = ("crc32", "crc32c", "adler32", "fletcher32")
_FILTERS = ("shuffle", "delta", "bitround", "fixedscaleoffset", "quantize", "packbits", "astype")
_FORMAT_3 = ("bytes", "transpose", "sharding_indexed")
_SAFE_CODECS = frozenset((*_BYTES_CODECS, *_CHECKSUMS, *_FILTERS, *_FORMAT_3))
METADATA_FILES = {2: ".zarray", 3: "zarr.json"}
_MAX_CHUNK_BYTES = 2**31  # Blosc cannot make a larger one
_BLOSC_HEADER = struct.Struct("<4xI4xI")  # bytes when decoded, block size, bytes when encoded
_RESTORE = "restore the file from a copy, or collect the dataset again"


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

        metadata = read_json(root, root / name / METADATA_FILES[zarr_format])
        try:
            codecs = _codec_names(metadata)
            unsafe = sorted(set(codecs) - _SAFE_CODECS)
            if unsafe:
                raise DataError(
                    f"'{name}' of {root} uses a codec that a dataset may not use",
                    received=unsafe,
                    remedy="store the array with Blosc, zstd or gzip",
                )
            array = zarr.open_array(str(root), path=name, mode="r", zarr_format=zarr_format)
            stored = cls(root, name, array, codecs)
            chunk_bytes = math.prod(stored.chunk_shape) * array.dtype.itemsize
        except DataError:
            raise
        except Exception as error:  # zarr raises many kinds for malformed metadata
            raise DataError(
                f"'{name}' of {root} has metadata that cannot be read: {error}", remedy=_RESTORE
            ) from error
        if chunk_bytes > _MAX_CHUNK_BYTES or min(array.shape[1:], default=1) < 1:
            raise DataError(
                f"'{name}' of {root} declares an impossible size",
                received=f"shape {array.shape}, chunks {stored.chunk_shape}",
                remedy=_RESTORE,
            )
        return stored

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Shape of what one file holds."""
        return self.array.shards or self.array.chunks

    @property
    def rows_per_chunk(self) -> int:
        """Steps that one file holds."""
        return self.chunk_shape[0]

    def __len__(self) -> int:
        return self.array.shape[0]

    def check_chunks(self, rows: int, *, missing_ok: bool = False) -> None:
        """Checks that a whole file lies behind every chunk of the first ``rows`` rows.

        It compares sizes only, so it is fast; it bounds what a reader will ever allocate, and it
        keeps a truncated Blosc chunk away from the decoder, which would read past its end.

        Raises:
            DataError: a file is missing (unless ``missing_ok``) or truncated.
        """
        for start, key in self._chunk_keys(rows):
            file = self.root / self.name / key
            try:
                size = file.stat().st_size
            except OSError as error:
                if missing_ok:
                    continue
                raise self._damaged(start, f"file {key} is missing") from error
            fault = self._size_fault(file, size)
            if fault:
                raise self._damaged(start, fault)

    def read(self, start: int, stop: int, *columns: slice) -> np.ndarray:
        """Returns rows ``start`` to ``stop``, restricted to ``columns`` of the other axes.

        Raises:
            DataError: a chunk is damaged; the message names it and its steps.
        """
        try:
            return np.asarray(self.array[(slice(start, stop), *columns)])
        except Exception as error:  # the codecs raise whatever they like
            step = self._first_unreadable(start, stop)
            raise self._damaged(step, str(error)) from error

    def _first_unreadable(self, start: int, stop: int) -> int:
        size = self.rows_per_chunk
        for first in range(start - start % size, stop, size):
            try:
                self.array[first : min(first + size, len(self))]
            except Exception:
                return first
        return start

    def _chunk_keys(self, rows: int) -> Iterator[tuple[int, str]]:
        sizes = (rows, *self.array.shape[1:])
        counts = [-(-size // chunk) for size, chunk in zip(sizes, self.chunk_shape, strict=True)]
        for index in _grid(counts):
            yield index[0] * self.rows_per_chunk, self.array.metadata.encode_chunk_key(index)

    def _size_fault(self, file: Path, size: int) -> str:
        """What the size of a chunk file says against it; empty where it says nothing."""
        trailer = 4 if self.codecs[-1:] == ("crc32c",) else 0
        outermost = self.codecs[: -1 if trailer else None][-1:]
        if outermost != ("blosc",) or self.array.shards:
            return "" if size else f"file {file.name} is empty"
        with file.open("rb") as stream:
            header = stream.read(16)
        if len(header) < 16:
            return f"its file has {size} bytes, less than a header"
        decoded, encoded = _BLOSC_HEADER.unpack(header)
        if encoded != size - trailer:
            return f"its file has {size} bytes instead of {encoded + trailer}"
        full = math.prod(self.chunk_shape) * self.array.dtype.itemsize
        if decoded != full and set(self.codecs) <= {"bytes", "blosc", "crc32c"}:
            return f"it decodes to {decoded} bytes instead of {full}"
        return ""

    def _damaged(self, step: int, why: str) -> DataError:
        size = self.rows_per_chunk
        first = step - step % size
        last = min(first + size, len(self)) - 1
        unit = "steps" if self.name.startswith("data/") else "episodes"
        return DataError(
            f"'{self.name}' of {self.root} is damaged in chunk {first // size} "
            f"({unit} {first} to {last}): {why}",
            remedy=_RESTORE,
        )


def read_json(root: Path, file: Path) -> dict[str, Any]:
    """Returns the JSON object in a metadata file of the dataset at ``root``.

    Raises:
        DataError: the file is missing, or does not hold a JSON object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"a dataset must have the file {file.relative_to(root)}",
            received=str(root),
            remedy=_RESTORE,
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{file.relative_to(root)} of {root} cannot be read: {error}", remedy=_RESTORE
        ) from error
    if not isinstance(content, dict):
        raise DataError(
            f"{file.relative_to(root)} of {root} must hold a JSON object",
            received=type(content).__name__,
            remedy=_RESTORE,
        )
    return content


def _grid(counts: list[int]) -> Iterator[tuple[int, ...]]:
    """All indices of a grid, one by one: declared counts may be absurd."""
    if not counts:
        yield ()
        return
    for first in range(counts[0]):
        for rest in _grid(counts[1:]):
            yield (first, *rest)


def _codec_names(metadata: dict[str, Any]) -> tuple[str, ...]:
    """Names of all codecs in array metadata of either format, nested ones first."""
    if metadata.get("zarr_format") == 2:
        codecs = [*(metadata.get("filters") or []), metadata.get("compressor")]
        return tuple(str(codec.get("id")) for codec in codecs if isinstance(codec, dict))
    names: list[str] = []
    pending = list(metadata.get("codecs") or [])
    while pending:
        codec = pending.pop()
        if isinstance(codec, dict):
            configuration = codec.get("configuration") or {}
            for key in ("codecs", "index_codecs"):
                pending.extend(configuration.get(key) or [])
            names.append(str(codec.get("name")).removeprefix("numcodecs."))
        else:
            names.append(str(codec))
    return tuple(reversed(names))
