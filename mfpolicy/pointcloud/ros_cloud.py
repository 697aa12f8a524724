"""A PointCloud2 of ROS → points, with numpy alone.

A message is anything with the fields of ``sensor_msgs/PointCloud2``: what rclpy or rosbags give,
or a `PointCloudMessage`. M counts points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mfpolicy.errors import ObservationError

_KINDS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
_PACKED_COLORS, _COLOR_CHANNELS = ("rgb", "rgba"), ("r", "g", "b")


@dataclass(frozen=True)
class PointField:
    """One channel of a point, as ``sensor_msgs/PointField``.

    Attributes:
        name: of the channel. offset: bytes from the point's start.
        datatype: 1 to 8: int8, uint8, int16, uint16, int32, uint32, float32, float64.
        count: elements of the channel.
    """

    name: str
    offset: int
    datatype: int = 7
    count: int = 1


@dataclass(frozen=True, eq=False)
class PointCloudMessage:
    """The plain fields of ``sensor_msgs/PointCloud2``, for where there is no ROS.

    Attributes:
        height, width: rows and points of a row; an unorganised cloud has one row.
        fields: the channels. is_bigendian: byte order.
        point_step: bytes of a point. row_step: bytes of a row, its padding included.
        data: all rows, bytes.
    """

    height: int
    width: int
    fields: Sequence[PointField]
    is_bigendian: bool
    point_step: int
    row_step: int
    data: Any


class CloudLike(Protocol):
    """What has the fields of a PointCloud2; see `PointCloudMessage`."""

    height: Any
    width: Any
    fields: Any
    is_bigendian: Any
    point_step: Any
    row_step: Any
    data: Any


def read_points(message: CloudLike) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
    """The points of a PointCloud2 of any field layout, byte order, organisation and padding.

    Args:
        message: the cloud.

    Returns:
        (M, 3) float32, or float64 where a coordinate is stored in more than float32 holds, in the
        message's unit and frame, row by row, NaN where there is no point; and its colors (M, 3)
        uint8 from a packed ``rgb`` or ``rgba`` or from uint8 ``r``, ``g``, ``b``, else None.

    Raises:
        ObservationError: it has no numbers x, y, z, or says sizes that its data do not have.

    Example:
        >>> fields = [PointField(name, 4 * place) for place, name in enumerate("xyz")]
        >>> data = np.array([[1, 2, 3], [4, 5, 6]], "<f4").tobytes()
        >>> points, colors = read_points(PointCloudMessage(1, 2, fields, False, 12, 24, data))
        >>> points[1].tolist(), colors
        ([4.0, 5.0, 6.0], None)
    """
    step = int(message.point_step)
    fields = {str(field.name): field for field in message.fields}
    order = ">" if message.is_bigendian else "<"
    xyz = {name: order + _kind(fields, name, step) for name in "xyz"}
    colors = _color_kinds(fields, step, order)
    kinds = xyz | colors
    layout = np.dtype(
        {
            "names": list(kinds),
            "formats": list(kinds.values()),
            "offsets": [int(fields[name].offset) for name in kinds],
            "itemsize": step,
        }
    )
    points = _rows(message, layout)
    wide = any(kind[1:] in ("i4", "u4", "f8") for kind in xyz.values())
    positions = np.empty((len(points), 3), np.float64 if wide else np.float32)
    for column, name in enumerate("xyz"):
        positions[:, column] = points[name]
    if not colors:
        return positions, None
    if len(colors) == 1:
        bits = points[next(iter(colors))].astype(np.uint32)
        return positions, np.stack([bits >> 16, bits >> 8, bits], axis=1).astype(np.uint8)
    return positions, np.stack([points[name] for name in _COLOR_CHANNELS], axis=1)


def as_bytes(data: Any) -> NDArray[np.uint8]:
    """The data of a message (N,) as bytes, without a copy where that is possible."""
    if isinstance(data, np.ndarray):
        return np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    try:
        return np.frombuffer(data, np.uint8)
    except (TypeError, ValueError):  # a list, or nothing at all
        return np.array(data, np.uint8).reshape(-1)


def _kind(fields: dict[str, Any], name: str, step: int) -> str:
    """The numpy kind of a field that must be a single number within a point of ``step`` bytes."""
    field = fields.get(name)
    kind = None if field is None else _KINDS.get(int(field.datatype))
    if field is None or kind is None or int(field.count) > 1:
        raise ObservationError(
            "a point cloud must have x, y and z, each a single number",
            received=[(each.name, int(each.datatype), int(each.count)) for each in fields.values()],
        )
    offset = int(field.offset)
    if offset < 0 or offset + int(kind[1:]) > step:
        raise ObservationError(
            f"field {name!r} must lie within a point of {step} bytes", received=f"offset {offset}"
        )
    return kind


def _color_kinds(fields: dict[str, Any], step: int, order: str) -> dict[str, str]:
    """The fields that hold the colors, with their numpy kinds; empty where there are none."""
    for name in _PACKED_COLORS:
        if name in fields:
            if _kind(fields, name, step)[1:] != "4":
                raise ObservationError(
                    "packed colors must have 4 bytes", received=int(fields[name].datatype)
                )
            return {name: order + "u4"}  # a float32 only carries the bits
    if all(name in fields for name in _COLOR_CHANNELS):
        kinds = {name: _kind(fields, name, step) for name in _COLOR_CHANNELS}
        if set(kinds.values()) == {"u1"}:
            return kinds
    return {}


def _rows(message: CloudLike, layout: np.dtype) -> NDArray[Any]:
    """The points (M,) of a message as records of ``layout``."""
    height, width, row_step = int(message.height), int(message.width), int(message.row_step)
    data = as_bytes(message.data)
    if not (0 < width * layout.itemsize <= row_step and 0 < height * row_step <= data.nbytes):
        raise ObservationError(
            f"a point cloud must have the data of its {height} x {width} points",
            received=f"{data.nbytes} bytes, point_step {layout.itemsize}, row_step {row_step}",
        )
    strides = (row_step, layout.itemsize)
    return np.ndarray((height, width), layout, data, strides=strides).reshape(-1)
