"""Arrays of numpy as a pickle describes them, made from their bytes and nothing else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mfpolicy.errors import UserError
from mfpolicy.inert.pickles import Global, Inert, PickleKind

if TYPE_CHECKING:
    import numpy as np

_MODULES = ("numpy.core", "numpy._core")  # before and since numpy 2
_RECONSTRUCT = frozenset(f"{module}.multiarray._reconstruct" for module in _MODULES)
_SCALAR = frozenset(f"{module}.multiarray.scalar" for module in _MODULES)
_FROM_BUFFER = frozenset(f"{module}.numeric._frombuffer" for module in _MODULES)
_ENCODE = "_codecs.encode"
_NO_BYTES = ("__builtin__.bytes", "builtins.bytes")  # called without arguments in protocol 2
ARRAY_NAMES = frozenset(
    {*_RECONSTRUCT, *_SCALAR, *_FROM_BUFFER, "numpy.ndarray", "numpy.dtype", _ENCODE, *_NO_BYTES}
)
"""Every name that an array's pickle mentions, in all protocols and numpy versions."""

_TYPES = frozenset({"b1", *(f"{k}{n}" for k in "iu" for n in (1, 2, 4, 8)), "f2", "f4", "f8"})
_MAX_RANK = 16


def array_of(description: Any, kind: PickleKind) -> np.ndarray:
    """Returns the array or scalar of numbers that a part of a pickle describes.

    The array must be as large as the bytes that are there for it, so a declared size costs
    nothing. Plain numbers, and lists of them, are arrays too.

    Raises:
        UserError: of ``kind.error``: it describes none, or one that its bytes do not fill.

    Example:
        >>> import io, pickle, numpy
        >>> from mfpolicy.inert import CHECKPOINT, read_inert
        >>> array_of(read_inert(io.BytesIO(pickle.dumps(numpy.arange(3)))), CHECKPOINT)
        array([0, 1, 2])
    """
    import numpy as np

    if isinstance(description, (int, float)):
        return np.asarray(float(description))
    if isinstance(description, list) and all(type(item) in (int, float) for item in description):
        return np.asarray(description, np.float64)
    dtype, shape, order, raw = _parts(description, kind)
    whole = all(type(size) is int and size >= 0 for size in shape) and len(shape) <= _MAX_RANK
    if not whole or not isinstance(raw, (bytes, bytearray)):
        raise _no_array("an array must have a shape and bytes", shape, kind)
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise _no_array(
            "the bytes of an array must fill its shape",
            f"{len(raw)} bytes, shape {shape}, {dtype}",
            kind,
        )
    return (
        np.frombuffer(bytes(raw), dtype).reshape(shape, order=order).astype(dtype.newbyteorder("="))
    )


def _parts(description: Any, kind: PickleKind) -> tuple[Any, tuple[Any, ...], Any, Any]:
    """Type, shape, order and bytes."""
    name = description.reference if isinstance(description, Inert) else ""
    if name in _RECONSTRUCT:
        state = description.state
        if isinstance(state, tuple) and len(state) == 5 and isinstance(state[1], tuple):
            _, shape, dtype, columns_first, raw = state
            return _dtype(dtype, kind), shape, "F" if columns_first is True else "C", _bytes(raw)
    if name in _SCALAR and len(description.arguments) == 2:
        dtype, raw = description.arguments
        return _dtype(dtype, kind), (), "C", _bytes(raw)
    if name in _FROM_BUFFER and len(description.arguments) == 4:
        raw, dtype, shape, order = description.arguments
        if isinstance(shape, tuple) and order in ("C", "F"):
            return _dtype(dtype, kind), shape, order, raw
    raise _no_array("a part of the file must be an array of numbers", _what(description), kind)


def _dtype(description: Any, kind: PickleKind) -> Any:
    import numpy as np

    arguments: tuple[Any, ...] = description.arguments if isinstance(description, Inert) else ()
    state = description.state if isinstance(description, Inert) else None
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "|"
    known = bool(arguments) and description.reference == "numpy.dtype"
    if not known or arguments[0] not in _TYPES or order not in ("<", ">", "|", "="):
        received = arguments[0] if known else _what(description)
        raise _no_array("an array must hold plain numbers", received, kind)
    return np.dtype(arguments[0]).newbyteorder(order)


def _bytes(raw: Any) -> Any:
    """Bytes; protocols before 3 write them as text of the same numbers."""
    if isinstance(raw, Inert) and raw.reference == _ENCODE and raw.arguments[1:] == ("latin1",):
        raw = raw.arguments[0]
    if isinstance(raw, Inert) and raw.reference in _NO_BYTES and not raw.arguments:
        return b""
    if isinstance(raw, str):
        try:
            return raw.encode("latin-1")
        except UnicodeEncodeError:
            return None
    return raw


def _what(description: Any) -> str:
    named = isinstance(description, Global | Inert) and description.reference
    return str(named or type(description).__name__)[:200]


def _no_array(rule: str, received: Any, kind: PickleKind) -> UserError:
    text = repr(received) if not isinstance(received, str) else received
    return kind.error(f"{rule}, in {kind.what}", received=text[:200], remedy="check the file")
