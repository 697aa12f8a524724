"""NPZ and NPY files of strangers: arrays of numbers, sizes bounded before memory is taken."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from mfpolicy.data.converting.foreign import MAX_EPISODE_BYTES, bounded
from mfpolicy.errors import DataError

_MAX_MEMBERS = 1000


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an NPZ file by name; nothing is unpickled.

    Raises:
        DataError: it is no such file, holds something else, or declares more than it has.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if len(members) > _MAX_MEMBERS or total > MAX_EPISODE_BYTES:
                raise DataError(
                    f"{path} must hold at most {_MAX_MEMBERS} arrays of "
                    f"{MAX_EPISODE_BYTES >> 30} GiB",
                    received=f"{len(members)} of {total} bytes",
                )
            found = {}
            for member in members:
                with archive.open(member) as file:
                    name = member.filename.removesuffix(".npy")
                    found[name] = _array(file, f"{path}, {name}", member.file_size)
            return found
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path} must be an NPZ file: {error}") from error


def read_npy(path: Path) -> np.ndarray:
    """The array of an NPY file.

    Raises:
        DataError: as :func:`read_npz`.
    """
    try:
        with path.open("rb") as file:
            return _array(file, str(path), path.stat().st_size)
    except OSError as error:
        raise DataError(f"{path} must be readable: {error}") from error


def _array(file: IO[bytes], where: str, size: int) -> np.ndarray:
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0}[version]  # fmt: skip
        shape, fortran, dtype = read(file)
    except (ValueError, KeyError, EOFError, TypeError, SyntaxError) as error:
        raise DataError(f"{where} must be an array in NPY format: {error}") from error
    if dtype.kind not in "fiub":
        raise DataError(f"{where} must hold numbers", received=str(dtype))
    need = bounded(where, shape, dtype.itemsize) if shape else dtype.itemsize
    if need > size:
        raise DataError(f"{where} must have its {need} bytes", received=f"{size} in all")
    content = file.read(need)
    if len(content) != need:
        raise DataError(f"{where} must have its {need} bytes", received=len(content))
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
