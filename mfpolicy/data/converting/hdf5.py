"""HDF5 files of strangers: arrays and notes by path, nothing that leads out of the file."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.converting.foreign import MAX_EPISODES, bounded
from mfpolicy.data.converting.packages import required
from mfpolicy.errors import DataError, UserError

_FILTERS = {1, 2, 3, 4, 5, 6, 32000}  # deflate, shuffle, fletcher32, szip, nbit, scale-offset, lzf
_MAX_CHUNK_BYTES = 1 << 30
MAGIC = b"\x89HDF\r\n\x1a\n"


class Hdf5File:
    """One file, open for reading.

    Raises:
        BackendError: h5py is missing.
        DataError: it is no HDF5 file.
    """

    def __init__(self, path: Path) -> None:
        self._h5py = required("h5py", "HDF5")
        self.path = path
        try:
            self._file = self._h5py.File(path, "r")
        except OSError as error:
            raise DataError(f"{path} must be an HDF5 file: {error}") from error

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def names(self, group: str = "/") -> list[str]:
        """Names in a group, in the file's order; empty where there is no such group."""
        with self._reading(group):
            found = self._at(group)
            if not isinstance(found, self._h5py.Group):
                return []
            if len(found) > MAX_EPISODES:
                raise DataError(
                    f"'{group}' of {self.path} has too many entries", received=len(found)
                )
            return list(found)

    def numbered(self, group: str, prefix: str) -> list[str]:
        """Names ``prefix``N of a group in the order of N.

        Example:
            >>> file.numbered("data", "demo_")                       # doctest: +SKIP
            ['demo_0', 'demo_1', 'demo_10']
        """
        matched = (re.fullmatch(rf"{prefix}(\d{{1,9}})", name) for name in self.names(group))
        return [each[0] for each in sorted((m for m in matched if m), key=lambda m: int(m[1]))]

    def arrays(self, group: str) -> list[str]:
        """Names of the arrays of numbers in a group."""
        return [name for name in self.names(group) if self.has(f"{group}/{name}")]

    def has(self, path: str) -> bool:
        """Whether an array of numbers lies at ``path``."""
        with self._reading(path):
            found = self._at(path)
            return isinstance(found, self._h5py.Dataset) and found.dtype.kind in "fiub"

    def shape(self, path: str) -> tuple[int, ...]:
        """Shape of the array at ``path``.

        Raises:
            DataError: there is none that may be read.
        """
        with self._reading(path):
            return tuple(self._dataset(path).shape)

    def read(self, path: str) -> np.ndarray:
        """The array at ``path``.

        Raises:
            DataError: there is none that may be read, it is too large, or damaged.
        """
        with self._reading(path):
            found = self._dataset(path)
            if found.ndim:
                bounded(path, found.shape, found.dtype.itemsize)
            return np.asarray(found[()])

    def texts(self, path: str) -> list[str]:
        """The texts of an array of texts; empty where there is none."""
        with self._reading(path):
            found = self._at(path)
            is_texts = isinstance(found, self._h5py.Dataset) and found.dtype.kind == "O"
            if not is_texts or found.ndim != 1:
                return []
            self._require_harmless(path, found)
            bounded(path, (max(len(found), 1),), 4096)
            return [item.decode(errors="replace") if isinstance(item, bytes) else str(item)
                    for item in found[:]]  # fmt: skip

    def note(self, path: str, name: str) -> Any:
        """The attribute ``name`` at ``path``: text, or an array; None where there is none."""
        with self._reading(f"{path} {name}"):
            found = self._at(path)
            if found is None or name not in found.attrs:
                return None
            value = found.attrs[name]
            if isinstance(value, bytes):
                return value.decode(errors="replace")
            return value if isinstance(value, str) else np.asarray(value)

    def notes(self, path: str) -> list[str]:
        """Names of the attributes at ``path``."""
        with self._reading(path):
            found = self._at(path)
            return [] if found is None else list(found.attrs)

    def identity(self) -> Iterator[bytes]:
        """What tells the file from another: its size, its beginning and its end."""
        size = self.path.stat().st_size
        yield str(size).encode()
        with self.path.open("rb") as file:
            yield file.read(1 << 20)
            file.seek(max(size - (1 << 20), 0))
            yield file.read(1 << 20)

    @contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        """Tells of damage in our words: h5py raises many kinds of error."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            raise DataError(
                f"'{path}' of {self.path} is damaged: {error}",
                remedy="restore the file from a copy",
            ) from error

    def _dataset(self, path: str) -> Any:
        found = self._at(path)
        if not isinstance(found, self._h5py.Dataset) or found.dtype.kind not in "fiub":
            raise DataError(
                f"{self.path} must have an array of numbers '{path}'",
                received=None if found is None else str(getattr(found, "dtype", "a group")),
            )
        self._require_harmless(path, found)
        return found

    def _at(self, path: str) -> Any:
        """What lies at ``path``; links to other files and names are not followed."""
        found = self._file
        for part in filter(None, path.split("/")):
            if not isinstance(found, self._h5py.Group) or part not in found:
                return None
            link = found.get(part, getlink=True)
            if not isinstance(link, self._h5py.HardLink):
                raise DataError(
                    f"'{path}' of {self.path} must lie in the file itself",
                    received=type(link).__name__,
                )
            found = found[part]
        return found

    def _require_harmless(self, path: str, found: Any) -> None:
        created = found.id.get_create_plist()
        filters = {created.get_filter(number)[0] for number in range(created.get_nfilters())}
        size = math.prod(found.chunks or (0,)) * found.dtype.itemsize
        if found.is_virtual or found.external or filters - _FILTERS or size > _MAX_CHUNK_BYTES:
            raise DataError(
                f"'{path}' of {self.path} must be stored in the file itself, in chunks of at most "
                f"{_MAX_CHUNK_BYTES >> 20} MiB",
                received=f"virtual {found.is_virtual}, external {bool(found.external)}, "
                f"filters {sorted(filters)}, chunks of {size} bytes",
            )


def looks_like_hdf5(path: Path) -> bool:
    """Whether ``path`` is a file that begins as HDF5 does."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
