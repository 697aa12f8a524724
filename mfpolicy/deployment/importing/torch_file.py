"""Files of ``torch.save``, both of its containers, read without executing what is in them."""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import torch

from mfpolicy.errors import RunError
from mfpolicy.inert import Inert, Persistent, read_inert

DTYPES = {
    "Float": torch.float32,
    "Double": torch.float64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
LOADED = "torch.storage._load_from_bytes"
"""What a plain pickle would call on the bytes of a storage."""

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_MAX_RANK = 16


@dataclass
class TorchFile:
    """An open checkpoint.

    Attributes:
        content: what was saved, as :func:`read_inert` gives it; tensors are not yet read.
    """

    content: Any
    _read_storage: Callable[[str, int], bytes]
    _budget: int
    _last: dict[str, bytes] = field(default_factory=dict)

    def tensor(self, description: Any) -> torch.Tensor:
        """Reads the tensor that a part of ``content`` describes.

        Raises:
            RunError: it describes none, or one that its storage does not hold.
        """
        description = _unwrapped(description)
        storage, offset, size, stride = _view_of(description)
        dtype, key, count = _storage_of(storage)
        span = 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        total = math.prod(size)
        if total and (offset + span > count or total > span):
            raise _damaged("a tensor must lie within its storage", (size, stride, count))
        if not total:
            return torch.empty(size, dtype=dtype)
        raw = bytearray(self._storage(key, count * dtype.itemsize))
        flat = torch.frombuffer(raw, dtype=dtype)
        return flat.as_strided(size, stride, offset).clone()

    def _storage(self, key: str, size: int) -> bytes:
        if key not in self._last:
            self._budget -= size
            if self._budget < 0:
                raise _damaged("a checkpoint must not be larger than its file", size)
            self._last = {key: self._read_storage(key, size)}
        found = self._last[key]
        if len(found) != size:
            raise _damaged("a storage must have the size that is written for it", len(found))
        return found


def tensor_with_storage(description: Any) -> torch.Tensor:
    """Reads a tensor of a plain pickle, whose storage lies in it as a file of ``torch.save``.

    Raises:
        RunError: ``description`` is no such tensor, or its storage is damaged.
    """
    description = _unwrapped(description)
    storage = _view_of(description)[0]
    raw = storage.arguments[0] if _calls(storage, LOADED) and storage.arguments else None
    if not isinstance(raw, bytes):
        raise _damaged("a tensor must carry its storage", type(raw).__name__)
    try:
        file = _from_legacy(io.BytesIO(raw), "the storage of a tensor", len(raw))
        parts = (file.content, *description.arguments[1:])
        return file.tensor(Inert(description.reference, parts))
    except (EOFError, struct.error) as error:
        raise _damaged("the storage of a tensor must be whole", str(error)) from error


@contextmanager
def open_torch_file(path: Path) -> Iterator[TorchFile]:
    """Opens a file of ``torch.save``, in today's zip container or the one before PyTorch 1.6.

    Raises:
        RunError: the file is missing, damaged, or of another kind.
    """
    if not path.is_file():
        raise RunError("a checkpoint must be a file", received=str(path), remedy="check the path")
    try:
        with path.open("rb") as file:
            packed = zipfile.is_zipfile(file)
            file.seek(0)
            if packed:
                with zipfile.ZipFile(file) as archive:
                    yield _from_zip(archive, path)
            else:
                yield _from_legacy(file, str(path), path.stat().st_size)
    except (zipfile.BadZipFile, OSError, EOFError, struct.error, NotImplementedError) as error:
        raise _damaged(f"{path} must be a whole file of torch.save", str(error)) from error


def _from_zip(archive: zipfile.ZipFile, path: Path) -> TorchFile:
    members = {info.filename: info for info in archive.infolist()}
    programs = [name for name in members if name.endswith("/data.pkl")]
    packed = [i for i in members.values() if i.compress_type or i.compress_size != i.file_size]
    if len(programs) != 1 or packed:
        raise _damaged(f"{path} must be a file of torch.save", sorted(members)[:4])
    root = programs[0].removesuffix("data.pkl")
    order = members.get(f"{root}byteorder")
    if order is not None and archive.read(order) != b"little":
        raise _damaged("a checkpoint must be written in little-endian order", "big")

    def read(key: str, _size: int) -> bytes:
        name = f"{root}data/{key}"
        if name not in members:
            raise _damaged(f"{path} must hold every storage it names", name)
        return archive.read(members[name])  # which checks its checksum

    with archive.open(programs[0]) as program:
        content = read_inert(program)
    return TorchFile(content, read, _budget=4 * path.stat().st_size)


def _from_legacy(file: IO[bytes], name: str, length: int) -> TorchFile:
    try:
        magic = read_inert(file)
    except RunError:
        magic = None
    if magic != _LEGACY_MAGIC:
        raise RunError(
            f"{name} must be a checkpoint that torch.save wrote",
            received="another kind of file",
            remedy="give the .ckpt file of the training script",
        )
    _version, system = read_inert(file), read_inert(file)
    if not isinstance(system, Mapping) or system.get("little_endian") is not True:
        raise _damaged("a checkpoint must be written in little-endian order", system)
    content, keys, start = read_inert(file), read_inert(file), file.tell()
    if not isinstance(keys, list) or len(set(map(str, keys))) != len(keys):
        raise _damaged(f"{name} must list its storages", type(keys).__name__)
    sizes = {
        str(found.identity[2]): _storage_of(found)[0].itemsize for found in _persistent(content)
    }
    places: dict[str, tuple[int, int]] = {}
    for key in map(str, keys):
        file.seek(start)
        size = struct.unpack("<q", file.read(8))[0] * sizes.get(key, 1)
        if size < 0 or start + 8 + size > length:
            raise _damaged(f"{name} must be whole", f"storage {key} of {size} bytes")
        places[key] = (start + 8, size)
        start += 8 + size

    def read(key: str, _size: int) -> bytes:
        if key not in places:
            raise _damaged(f"{name} must hold every storage it names", key)
        file.seek(places[key][0])
        return file.read(places[key][1])

    return TorchFile(content, read, _budget=4 * length)


def _persistent(content: Any) -> Iterator[Persistent]:
    """Every reference to a storage in ``content``, each object visited once."""
    seen: set[int] = set()
    waiting = [content]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Persistent):
            yield item
        elif isinstance(item, Inert):
            waiting += [item.arguments, item.state, item.items, item.entries]
        elif isinstance(item, Mapping):
            waiting += item.values()
        elif isinstance(item, (list, tuple)):
            waiting += item


def _unwrapped(description: Any) -> Any:
    """The tensor of a parameter."""
    if _calls(description, "torch._utils._rebuild_parameter"):
        return description.arguments[0] if description.arguments else None
    return description


def _view_of(description: Any) -> tuple[Any, int, tuple[int, ...], tuple[int, ...]]:
    known = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
    if not any(_calls(description, name) for name in known) or len(description.arguments) < 4:
        kind = getattr(description, "reference", "") or type(description).__name__
        raise _damaged("a weight must be a plain dense tensor", kind)
    storage, offset, size, stride = description.arguments[:4]
    whole = (offset, *_sizes(size), *_sizes(stride))
    if any(type(value) is not int or value < 0 for value in whole):
        raise _damaged("a tensor must have sizes and strides from 0 on", whole[:4])
    return storage, offset, _sizes(size), _sizes(stride)


def _sizes(value: Any) -> tuple[Any, ...]:
    if _calls(value, "torch.Size") and value.arguments:
        value = value.arguments[0]
    if not isinstance(value, (tuple, list)) or len(value) > _MAX_RANK:
        raise _damaged("a tensor must have a shape", type(value).__name__)
    return tuple(value)


def _storage_of(found: Any) -> tuple[torch.dtype, str, int]:
    identity = found.identity if isinstance(found, Persistent) else None
    if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
        raise _damaged("a tensor must name its storage", type(found).__name__)
    kind = getattr(identity[1], "reference", "")
    name = kind.removeprefix("torch.cuda.").removeprefix("torch.").removesuffix("Storage")
    count = identity[4]
    if name not in DTYPES or type(count) is not int or count < 0:
        raise _damaged("a weight must be of a plain number type", kind)
    return DTYPES[name], str(identity[2]), count


def _calls(value: Any, reference: str) -> bool:
    return isinstance(value, Inert) and value.reference == reference


def _damaged(rule: str, received: object) -> RunError:
    return RunError(rule, received=received, remedy="copy the file again, or save it anew")
