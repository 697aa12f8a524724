"""Messages through a pipe between two processes of this machine: a JSON head and numpy arrays.

For processes that cannot share an environment, as a simulator and ROS. Both ends are ours: this is
no format for the network.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mfpolicy.errors import DataError

Arrays = dict[str, NDArray[Any]]
_MARK = b"mfp1"
_BEGIN = struct.Struct("<4sI")
_LONGEST_HEAD, _LARGEST = 1 << 24, 1 << 30  # bytes


def write_message(
    file: IO[bytes], head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None
) -> None:
    """Writes one message and flushes it.

    Args:
        file: binary, open for writing.
        head: what JSON can say.
        arrays: by name, of numbers.

    Raises:
        OSError: nobody reads any more.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> write_message(file, {"say": "frame"}, {"depth": np.ones((2, 2), np.float32)})
        >>> _ = file.seek(0)
        >>> head, arrays = read_message(file)
        >>> head, arrays["depth"].shape
        ({'say': 'frame'}, (2, 2))
        >>> read_message(file) is None
        True
    """
    whole = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    shapes = [[name, array.dtype.str, list(array.shape)] for name, array in whole.items()]
    text = json.dumps([dict(head), shapes]).encode()
    parts = [_BEGIN.pack(_MARK, len(text)), text, *(array.tobytes() for array in whole.values())]
    file.write(b"".join(parts))
    file.flush()


def read_message(file: IO[bytes]) -> tuple[dict[str, Any], Arrays] | None:
    """The next message; None where the other end is closed, or ended within a message.

    Raises:
        DataError: what came is no message; where the next one begins is not known any more.
    """
    begin = _read(file, _BEGIN.size)
    if begin is None:
        return None
    mark, length = _BEGIN.unpack(begin)
    if mark != _MARK or length > _LONGEST_HEAD:
        raise DataError("a message must begin with its mark and length", received=begin)
    text = _read(file, length)
    if text is None:
        return None
    head, kinds = _parsed(text)
    arrays: Arrays = {}
    for name, dtype, shape in kinds:
        data = _read(file, dtype.itemsize * math.prod(shape))
        if data is None:
            return None
        arrays[name] = np.frombuffer(data, dtype).reshape(shape)
    return head, arrays


def _parsed(text: bytes) -> tuple[dict[str, Any], list[tuple[str, np.dtype, tuple[int, ...]]]]:
    """The head, and name, type and shape of each array."""
    try:
        head, shapes = json.loads(text)
        kinds = [
            (str(name), np.dtype(kind), tuple(int(size) for size in shape))
            for name, kind, shape in shapes
        ]
        is_whole = isinstance(head, dict) and all(
            min(shape, default=0) >= 0 and dtype.itemsize * math.prod(shape) <= _LARGEST
            for _, dtype, shape in kinds
        )
    except (TypeError, ValueError) as error:
        raise DataError(f"the head of a message must be as it is written: {error}") from error
    if not is_whole:
        raise DataError("a message must have a head and arrays of a size", received=text[:200])
    return head, kinds


def _read(file: IO[bytes], count: int) -> bytes | None:
    """``count`` bytes; None where the file ends before."""
    parts: list[bytes] = []
    while count:
        part = file.read(count)
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
