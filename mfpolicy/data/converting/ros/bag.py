"""One bag: its messages by topic, decoded by definitions of ours, never by those in the file.

rosbags turns a message definition into Python code. So only the standard ones that it ships are
used, and a bag that needs others is refused. What it decompresses is bounded.
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mfpolicy.data.converting.packages import required
from mfpolicy.errors import DataError

_MAX_CHUNK_BYTES = 1 << 30
_MAX_METADATA_BYTES = 64 << 20


class Bag:
    """A bag, open for reading.

    Raises:
        BackendError: rosbags is missing.
        DataError: it is no bag, or is compressed as a whole.
    """

    def __init__(self, path: Path) -> None:
        stores = required("rosbags.typesys", "a bag of ROS")
        _bound_decompression()
        self.path, self._is_ros1 = path, path.suffix == ".bag"
        kind = "ROS1_NOETIC" if self._is_ros1 else "ROS2_HUMBLE"
        self._types = stores.get_typestore(stores.Stores[kind])
        _require_inside(path)
        module = required("rosbags.rosbag1" if self._is_ros1 else "rosbags.rosbag2", "a bag of ROS")
        try:
            self._reader = module.Reader(path)
            if not self._is_ros1:
                _require_uncompressed(path)
            self._reader.open()
        except DataError:
            raise
        except Exception as error:  # rosbags raises many kinds
            raise DataError(f"{path} must be a bag of ROS: {error}") from error

    def close(self) -> None:
        """Closes the bag."""
        self._reader.close()

    def types(self) -> dict[str, str]:
        """The message type of each topic."""
        return {each.topic: each.msgtype for each in self._reader.connections}

    def messages(self, topics: set[str]) -> Iterator[tuple[str, float, float | None, bytes, str]]:
        """Messages of the topics, in the order of the bag.

        Yields:
            Topic, received (s), stamp of the header (s; None without one), content, type.

        Raises:
            DataError: a topic is missing or of a type that is not standard, or the bag is damaged.
        """
        missing = topics - set(self.types())
        if missing:
            raise DataError(
                f"{self.path} must have the topics {sorted(missing)}", received=sorted(self.types())
            )
        wanted = [each for each in self._reader.connections if each.topic in topics]
        for each in wanted:
            if each.msgtype not in self._types.types:
                raise DataError(
                    "only messages of standard types can be read: a definition in the bag would "
                    "have to be carried out",
                    received=f"{each.msgtype} of {each.topic}",
                )
        try:
            for each, received_ns, raw in self._reader.messages(wanted):
                stamp = self._stamp(raw, each.msgtype)
                yield each.topic, received_ns * 1e-9, stamp, raw, each.msgtype
        except DataError:
            raise
        except Exception as error:
            raise DataError(
                f"{self.path} is damaged: {error}", remedy="restore it from a copy"
            ) from error

    def decoded(self, raw: bytes, kind: str) -> Any:
        """A message of the standard type ``kind``.

        Raises:
            DataError: it is damaged.
        """
        try:
            if self._is_ros1:
                return self._types.deserialize_ros1(raw, kind)
            return decode_cdr(self._types, raw, kind)
        except Exception as error:
            raise DataError(f"a message {kind} of {self.path} is damaged: {error}") from error

    def _stamp(self, raw: bytes, kind: str) -> float | None:
        """Stamp of the header, where the message begins with one, without decoding the rest."""
        fields = self._types.fielddefs[kind][1]
        if not fields or fields[0][0] != "header":
            return None
        if self._is_ros1:
            seconds, nanoseconds = struct.unpack_from("<4xII", raw)
        else:
            order = "<" if raw[1] & 1 else ">"
            seconds, nanoseconds = struct.unpack_from(f"{order}4xiI", raw)
        return seconds + nanoseconds * 1e-9


def decode_cdr(types: Any, raw: bytes, kind: str) -> Any:
    """A message of ROS 2, whatever follows it.

    ``rclpy.serialization.serialize_message`` returns a buffer of estimated length, so that bags
    which were written by it have bytes of no meaning behind a message. rosbags takes more than
    three of them for damage.

    Args:
        types: of rosbags.
        raw: its CDR encoding.
        kind: its type.
    """
    try:
        return types.deserialize_cdr(raw, kind)
    except Exception as error:
        if "size mismatch" not in str(error):
            raise
        definition = types.get_msgdef(kind)
        is_little = raw[1] & 1
        read = definition.deserialize_cdr_le if is_little else definition.deserialize_cdr_be
        return read(raw[4:], 0, definition.cls, types)[0]


def looks_like_bag(path: Path) -> bool:
    """Whether ``path`` is a bag of ROS 1, a folder of ROS 2, or one of its files."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() and any(
            each.suffix in (".db3", ".mcap") for each in path.iterdir()
        )
    if path.suffix not in (".bag", ".mcap", ".db3") or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(16).startswith((b"#ROSBAG V2.0", b"\x89MCAP", b"SQLite format 3"))


def _require_inside(path: Path) -> None:
    for file in path.iterdir() if path.is_dir() else ():
        if file.is_symlink():
            raise DataError("a file of a bag must lie in its folder", received=str(file))


def _require_uncompressed(path: Path) -> None:
    """Refuses bags whose messages or files are compressed one by one, to any size."""
    if not path.is_dir():
        return
    file = path / "metadata.yaml"
    if file.stat().st_size > _MAX_METADATA_BYTES:
        raise DataError("metadata.yaml of a bag is too large", received=file.stat().st_size)
    import yaml

    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    found = content.get("rosbag2_bagfile_information", {}) if isinstance(content, dict) else {}
    mode = str(found.get("compression_mode") or "none").lower()
    if mode not in ("none", ""):
        raise DataError(
            "a bag must not be compressed by file or by message",
            received=f"compression_mode {mode} of {path}",
            remedy="ros2 bag convert writes an uncompressed one, or an MCAP with compressed chunks",
        )


def _bound_decompression() -> None:
    """Lets rosbags decompress a chunk to at most 1 GiB, which it would not bound itself.

    Its tables of decompressors are replaced entry by entry; what they return stays the same.
    """
    mcap = required("rosbags.rosbag2.storage_mcap", "a bag of ROS")
    bag1 = required("rosbags.rosbag1.reader", "a bag of ROS")
    lz4 = required("lz4.frame", "a bag of ROS")
    zstd = mcap.zstd

    def whole(reader: Any, data: bytes) -> bytes:
        found = reader.decompress(data, _MAX_CHUNK_BYTES)
        if not reader.eof:
            raise DataError(
                f"a chunk of a bag must hold at most {_MAX_CHUNK_BYTES >> 20} MiB, all of it there"
            )
        return found

    mcap.DECOMPRESSORS["zstd"] = lambda data, _: whole(zstd.ZstdDecompressor(), data)
    mcap.DECOMPRESSORS["lz4"] = lambda data, _: whole(lz4.LZ4FrameDecompressor(), data)
    bag1.decompressors["bz2"] = lambda data: whole(bz2.BZ2Decompressor(), data)
    bag1.decompressors["lz4"] = lambda data: whole(lz4.LZ4FrameDecompressor(), data)
