"""MessagePack for what policies say: nil, booleans, numbers, text, bytes, lists, maps and arrays.

A subset of https://github.com/msgpack/msgpack/blob/master/spec.md, written in its shortest forms.
Extension types are refused, so reading never makes anything but plain values.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

ARRAY_TYPES = ("float16", "float32", "float64")
MAX_DEPTH = 32


class PackingError(ValueError):
    """Bytes that are no MessagePack of this subset, or a value that has none."""


def pack(value: Any) -> bytes:
    r"""Returns the MessagePack of a plain value; a numpy array becomes its map on the wire.

    Raises:
        PackingError: the value, or one inside it, is of another type or too large.

    Example:
        >>> pack({"seed": 7})
        b'\x81\xa4seed\x07'
    """
    out = bytearray()
    _pack(value, out, 0)
    return bytes(out)


def unpack(data: bytes | bytearray | memoryview) -> Any:
    r"""Returns the one value that ``data`` holds.

    Raises:
        PackingError: it is cut short, goes on, or holds what this subset has not.

    Example:
        >>> unpack(b"\x92\x01\xc0")
        [1, None]
    """
    reader = _Reader(memoryview(data))
    value = reader.value(0)
    if reader.at != len(reader.data):
        raise PackingError(f"{len(reader.data) - reader.at} bytes follow the value")
    return value


def to_wire(array: np.ndarray) -> dict[str, Any]:
    """Returns an array as it travels: dtype, shape and its bytes in C order, little-endian."""
    dtype = array.dtype.name
    if dtype not in ARRAY_TYPES:
        raise PackingError(f"arrays must be of {', '.join(ARRAY_TYPES)}, not {dtype}")
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return {"dtype": dtype, "shape": list(array.shape), "data": little.tobytes()}


def from_wire(value: Any) -> np.ndarray:
    """Returns the array of a map made by :func:`to_wire`, as a copy in native byte order.

    Raises:
        PackingError: the map is not of this form, its dtype is not allowed, or its bytes are not as
            many as dtype and shape say.
    """
    if not isinstance(value, Mapping) or set(value) != {"dtype", "shape", "data"}:
        raise PackingError("an array must be a map of dtype, shape and data")
    dtype, shape, data = value["dtype"], value["shape"], value["data"]
    if dtype not in ARRAY_TYPES:
        raise PackingError(f"dtype must be one of {', '.join(ARRAY_TYPES)}, not {_short(dtype)}")
    if not isinstance(shape, list | tuple) or len(shape) > 8:
        raise PackingError("shape must be a list of at most 8 sizes")
    if not all(type(size) is int and size >= 0 for size in shape):
        raise PackingError(f"sizes of a shape must be whole and not negative, not {_short(shape)}")
    if not isinstance(data, bytes):
        raise PackingError(f"data must be bytes, not {type(data).__name__}")
    wire = np.dtype(dtype).newbyteorder("<")
    expected = math.prod(shape) * wire.itemsize
    if len(data) != expected:
        raise PackingError(
            f"{dtype} of shape {tuple(shape)} takes {expected} bytes, not {len(data)}"
        )
    if expected == 0:
        raise PackingError(f"an array must not be empty, not of shape {tuple(shape)}")
    return np.frombuffer(data, wire).reshape(shape).astype(dtype)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _pack(value: Any, out: bytearray, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise PackingError(f"values must be nested at most {MAX_DEPTH} deep")
    if value is None or value is False or value is True:
        out += {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    elif isinstance(value, int | np.integer):
        _pack_int(int(value), out)
    elif isinstance(value, float | np.floating):
        out += struct.pack(">Bd", 0xCB, float(value))
    elif isinstance(value, str):
        text = value.encode()
        _head(len(text), out, (0xA0, 31), (0xD9, 0xDA, 0xDB))
        out += text
    elif isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        _head(len(data), out, None, (0xC4, 0xC5, 0xC6))
        out += data
    elif isinstance(value, np.ndarray):
        _pack(to_wire(value), out, depth)
    elif isinstance(value, list | tuple):
        _head(len(value), out, (0x90, 15), (None, 0xDC, 0xDD))
        for item in value:
            _pack(item, out, depth + 1)
    elif isinstance(value, Mapping):
        _head(len(value), out, (0x80, 15), (None, 0xDE, 0xDF))
        for key, item in value.items():
            if not isinstance(key, str):
                raise PackingError(f"keys of a map must be text, not {type(key).__name__}")
            _pack(key, out, depth + 1)
            _pack(item, out, depth + 1)
    else:
        raise PackingError(f"a {type(value).__name__} cannot be sent")


def _pack_int(value: int, out: bytearray) -> None:
    if -32 <= value < 128:
        out += struct.pack("b", value)
        return
    signed, unsigned = "bhiq", "BHIQ"
    for i, bits in enumerate((8, 16, 32, 64)):
        if 0 <= value < 1 << bits:
            out += struct.pack(f">B{unsigned[i]}", 0xCC + i, value)
            return
        if -(1 << bits - 1) <= value < 0:
            out += struct.pack(f">B{signed[i]}", 0xD0 + i, value)
            return
    raise PackingError(f"whole numbers must fit 64 bits: {_short(value)}")


def _head(
    size: int, out: bytearray, fix: tuple[int, int] | None, codes: tuple[int | None, int, int]
) -> None:
    if fix is not None and size <= fix[1]:
        out.append(fix[0] | size)
        return
    for code, letter, limit in zip(codes, "BHI", (1 << 8, 1 << 16, 1 << 32), strict=True):
        if code is not None and size < limit:
            out += struct.pack(f">B{letter}", code, size)
            return
    raise PackingError(f"a value of {size} entries is too large")


_NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"}
_NUMBERS |= {0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
_SIZES = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_SIZES |= {0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I"}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


class _Reader:
    """A position in the bytes. Sizes are held against what is left before anything is made."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> memoryview:
        if size > len(self.data) - self.at:
            raise PackingError(f"cut short: {size} bytes needed at byte {self.at}")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise PackingError(f"values must be nested at most {MAX_DEPTH} deep")
        code = self.number(">B")
        if code < 0x80 or code >= 0xE0:
            return code if code < 0x80 else code - 0x100
        if code in _CONSTANTS:
            return _CONSTANTS[code]
        if code in _NUMBERS:
            return self.number(_NUMBERS[code])
        if code < 0xC0:
            size = code & (0x1F if code >= 0xA0 else 0x0F)
        elif code in _SIZES:
            size = self.number(_SIZES[code])
        else:
            raise PackingError(f"type 0x{code:02x} is not taken")
        if 0xC4 <= code <= 0xC6:
            return bytes(self.take(size))
        if 0xA0 <= code < 0xC0 or 0xD9 <= code <= 0xDB:
            return self.text(size)
        if code < 0x90 or code >= 0xDE:
            return self.map(size, depth)
        self.expect_entries(size)
        return [self.value(depth + 1) for _ in range(size)]

    def text(self, size: int) -> str:
        try:
            return str(self.take(size), "utf-8")
        except UnicodeDecodeError as error:
            raise PackingError(f"text must be UTF-8: {error}") from error

    def map(self, size: int, depth: int) -> dict[str, Any]:
        self.expect_entries(2 * size)
        result: dict[str, Any] = {}
        for _ in range(size):
            key = self.value(depth + 1)
            if not isinstance(key, str):
                raise PackingError(f"keys of a map must be text, not {type(key).__name__}")
            result[key] = self.value(depth + 1)
        return result

    def expect_entries(self, count: int) -> None:
        if count > len(self.data) - self.at:
            raise PackingError(f"cut short: {count} entries announced at byte {self.at}")
