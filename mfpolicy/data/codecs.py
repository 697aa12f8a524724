"""Which codecs a dataset may use, and what a chunk of theirs may decode to, known beforehand.

A decoder takes as much memory as the compressed bytes ask for. So the size is read from the bytes
first: Blosc, Zstandard (RFC 8878, section 3.1.1) and LZ4 as numcodecs frames it name it in their
headers; deflate (zlib, gzip) names none that binds, and is decoded in small parts to find it.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

_COMPRESSORS = ("blosc", "zstd", "gzip", "zlib", "lz4")
_DEFLATE = ("gzip", "zlib")
_CHECKSUMS = ("crc32", "crc32c", "adler32", "fletcher32")
_SAME_SIZE = ("bytes", "transpose", "shuffle", "delta", "bitround")
_SMALLER = ("fixedscaleoffset", "quantize", "packbits", "astype")
_SAFE = frozenset((*_COMPRESSORS, *_CHECKSUMS, *_SAME_SIZE, *_SMALLER))
_NUMBERS = re.compile(r"[<>|=]?(?:[fiub]\d{1,2}|\??|bool|u?int\d{1,2}|float\d{2})\Z")
_TYPE_KEYS = ("dtype", "astype", "encode_dtype", "decode_dtype")

_BLOSC = struct.Struct("<4xI4xI")  # bytes when decoded, block size, bytes when encoded
_ZSTD_MAGIC, _ZSTD_BLOCK = 0xFD2FB528, 128 << 10
_PART = 1 << 20


def codec_chain(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the codecs of array metadata of either format, the outermost last.

    Each is a mapping with ``name``; the options stand beside it.

    Raises:
        ValueError: a codec is not written as one.
    """
    if metadata.get("zarr_format") == 2:
        filters = metadata.get("filters") or []
        compressor = metadata.get("compressor")
        entries = [*_listed(filters), *([] if compressor is None else [compressor])]
        return [{**_object(entry), "name": str(_object(entry).get("id"))} for entry in entries]
    chain = []
    for entry in _listed(metadata.get("codecs") or []):
        written = {"name": entry} if isinstance(entry, str) else _object(entry)
        name = str(written.get("name")).removeprefix("numcodecs.")
        chain.append({**_object(written.get("configuration") or {}), "name": name})
    return chain


def unsafe_codecs(chain: list[dict[str, Any]]) -> list[str]:
    """Names what in ``chain`` a dataset may not use; empty where all is well.

    Anything but compression, checksums and changes of numbers to numbers is refused unread:
    numcodecs has a codec that unpickles, that is, runs code. Compression within compression
    hides what it decodes to, and so do parts of files (shards).
    """
    unsafe = {codec["name"] for codec in chain if codec["name"] not in _SAFE}
    for codec in chain:
        types = [codec[key] for key in _TYPE_KEYS if codec.get(key) is not None]
        if not all(isinstance(kind, str) and _NUMBERS.match(kind) for kind in types):
            unsafe.add(f"{codec['name']} of {types}")
    names = [codec["name"] for codec in chain]
    compressors = [at for at, name in enumerate(names) if name in _COMPRESSORS]
    if len(compressors) > 1:
        unsafe.add("compression within compression")
    elif compressors and not set(names[compressors[0] + 1 :]) <= {"crc32c"}:
        unsafe.add(f"{names[-1]} around {names[compressors[0]]}")
    return sorted(unsafe)


def size_fault(file: Path, size: int, names: tuple[str, ...], full: int, *, deep: bool) -> str:
    """What speaks against decoding ``file``, judged by its size and header; empty if nothing does.

    It keeps a truncated Blosc chunk away from the decoder, which would read past its end.

    Args:
        file: the file of one chunk.
        size: bytes of the file.
        names: the codecs, outermost last, none of them unsafe.
        full: bytes of a decoded chunk.
        deep: also decode deflate in small parts to learn what it decodes to.
    """
    if size == 0:
        return f"file {file.name} is empty"
    checksums = sum(name in _CHECKSUMS for name in names)
    allowed = full * (8 if set(names) & set(_SMALLER) else 1) + 16 * checksums
    compressor = next((name for name in names if name in _COMPRESSORS), None)
    if size > 2 * allowed + _PART:
        return f"its file has {size} bytes for {full} when decoded"
    trailer = 4 * sum(name == "crc32c" for name in names[_after(names, compressor) :])
    with file.open("rb") as stream:
        if compressor == "blosc":
            exact = set(names) <= {*_SAME_SIZE, "blosc", "crc32c"} and checksums * 4 == trailer
            return _blosc_fault(stream, size - trailer, full if exact else None, allowed)
        decoded = None
        if compressor == "lz4":
            decoded = int.from_bytes(stream.read(4), "little")
        elif compressor == "zstd":
            decoded = _zstd_bytes(stream, size - trailer)
        elif compressor in _DEFLATE and deep:
            decoded = _deflate_bytes(stream, allowed)
    if decoded is not None and decoded > allowed:
        return f"it decodes to {decoded} bytes or more instead of {full}"
    return ""


def _after(names: tuple[str, ...], compressor: str | None) -> int:
    return names.index(compressor) + 1 if compressor else len(names)


def _blosc_fault(stream: BinaryIO, size: int, exact: int | None, allowed: int) -> str:
    header = stream.read(16)
    if len(header) < 16:
        return f"its file has {len(header)} bytes, less than a header"
    decoded, encoded = _BLOSC.unpack(header)
    if encoded != size:
        return f"its content has {size} bytes instead of {encoded}"
    if decoded > allowed or (exact is not None and decoded != exact):
        return f"it decodes to {decoded} bytes instead of {exact or allowed}"
    return ""


def _zstd_bytes(stream: BinaryIO, size: int) -> int:
    """An estimate, at most one block too small, of what Zstandard frames in ``stream`` decode to.

    A frame may leave its size out; then each of its blocks decodes to at most 128 KiB, and all but
    the last to as much. What is no frame counts nothing: the decoder refuses it.
    """
    total = 0
    while stream.tell() + 8 <= size:
        magic, descriptor = struct.unpack("<IB", stream.read(5))
        if magic != _ZSTD_MAGIC:
            return total
        single = bool(descriptor & 0x20)
        width = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
        skipped = (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3]
        stream.seek(skipped, 1)
        declared = int.from_bytes(stream.read(width), "little") + (256 if width == 2 else 0)
        walked = sum(_zstd_blocks(stream, size))
        total += declared if width else max(0, walked - _ZSTD_BLOCK)
        if descriptor & 0x04:
            stream.seek(4, 1)  # checksum
    return total


def _zstd_blocks(stream: BinaryIO, size: int) -> Iterator[int]:
    """Yields how much each block of a frame decodes to, at most."""
    while stream.tell() + 3 <= size:
        header = int.from_bytes(stream.read(3), "little")
        kind, length = (header >> 1) & 3, header >> 3
        yield _ZSTD_BLOCK if kind == 2 else length
        stream.seek(1 if kind == 1 else length, 1)
        if header & 1:
            return


def _deflate_bytes(stream: BinaryIO, allowed: int) -> int:
    """What gzip or zlib members in ``stream`` decode to, counted no further than ``allowed``."""
    total, decoder = 0, zlib.decompressobj(zlib.MAX_WBITS | 32)
    part = stream.read(_PART)
    try:
        while part and total <= allowed:
            total += len(decoder.decompress(part, _PART))
            if decoder.eof:
                part = decoder.unused_data.lstrip(b"\0") or stream.read(_PART)
                decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
            else:
                part = decoder.unconsumed_tail or stream.read(_PART)
    except zlib.error:
        pass  # the decoder will say what is wrong
    return total


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("codecs must be a list")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a codec must be an object")
    return value
