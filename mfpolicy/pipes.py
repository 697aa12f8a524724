"""Messages through a pipe between two processes of this machine: a JSON head and numpy arrays.

For processes that cannot share an environment, as a simulator and ROS. Both ends are ours: this is
no format for the network.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
_LENGTH = struct.Struct("<I")


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
    parts = [_LENGTH.pack(len(text)), text, *(array.tobytes() for array in whole.values())]
    file.write(b"".join(parts))
    file.flush()


def read_message(file: IO[bytes]) -> tuple[dict[str, Any], Arrays] | None:
    """The next message; None where the other end is closed, or ended within a message."""
    length = _read(file, _LENGTH.size)
    text = None if length is None else _read(file, _LENGTH.unpack(length)[0])
    if text is None:
        return None
    head, shapes = json.loads(text)
    arrays: Arrays = {}
    for name, kind, shape in shapes:
        dtype = np.dtype(kind)
        data = _read(file, dtype.itemsize * int(np.prod(shape, dtype=np.int64)))
        if data is None:
            return None
        arrays[name] = np.frombuffer(data, dtype).reshape(shape)
    return head, arrays


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
