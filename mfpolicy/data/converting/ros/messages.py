"""Messages as rosbags decodes them → arrays, with errors that say of which message."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from mfpolicy.errors import DataError, ObservationError
from mfpolicy.pointcloud.ros_cloud import read_points
from mfpolicy.pointcloud.ros_image import read_image, read_intrinsics

T = TypeVar("T")


def point_cloud(message: Any, where: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Points (M, 3), NaN where there is none, and colors (M, 3) uint8 or None, of a PointCloud2.

    Raises:
        DataError: it is none, or says sizes that its data do not have.
    """
    return _read(read_points, message, where)


def image(message: Any, where: str) -> np.ndarray:
    """An Image: depth (H, W) in its own unit, or color (H, W, 3) uint8.

    Raises:
        DataError: it is none, its encoding is not known, or its data do not have its size.
    """
    return _read(read_image, message, where)


def intrinsics(message: Any, where: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """(3, 3) of a CameraInfo, in our convention.

    Args:
        message: as rosbags decodes it.
        where: of which topic or step, for messages.
        shape: (H, W) of the images it is used for; None does not look.

    Raises:
        DataError: it is none, not calibrated, of another size, or its images are distorted.
    """
    return _read(lambda info: read_intrinsics(info, shape), message, where)


def _read(read: Callable[[Any], T], message: Any, where: str) -> T:
    try:
        return read(message)
    except ObservationError as error:
        rule = f"{error.rule} ({where})"
        raise DataError(rule, received=error.received, remedy=error.remedy) from error
    except AttributeError as error:
        kind = type(message).__name__.replace("__", "/")
        raise DataError(f"a message must be of another type ({where})", received=kind) from error


def values(message: Any, field: str, names: list | None, where: str) -> np.ndarray:
    """(D,) numbers at ``field`` of a message.

    Args:
        message: as rosbags decodes it.
        field: names and positions with dots between them.
        names: joints in the order that is wanted; None takes all as they are.
        where: of which topic, for messages.

    Raises:
        DataError: there are none, or a joint is missing.
    """
    found = message
    for part in field.split("."):
        try:
            found = found[int(part)] if part.isdigit() else getattr(found, part)
        except (AttributeError, IndexError, TypeError) as error:
            raise DataError(
                f"messages {where} must have the field {field}",
                received=[each.name for each in dataclasses.fields(message)],
            ) from error
    numbers = _flat(found)
    if names is None:
        if not len(numbers):
            raise DataError(f"'{field}' must hold numbers {where}", received=str(found)[:100])
        return numbers
    there = list(getattr(message, "name", getattr(message, "joint_names", ())))
    missing = [name for name in names if name not in there]
    if missing or len(there) != len(numbers):
        raise DataError(
            f"messages {where} must have the joints {missing or names}",
            received=f"{there}, {len(numbers)} numbers",
        )
    return numbers[[there.index(name) for name in names]]


def _flat(value: Any) -> np.ndarray:
    """All numbers of a value, those of nested messages in their order; texts are left out."""
    if isinstance(value, bool | int | float | np.number):
        return np.array([float(value)])
    if isinstance(value, np.ndarray):
        return value.astype(np.float64).reshape(-1) if value.dtype.kind in "fiub" else np.zeros(0)
    if isinstance(value, list | tuple):
        parts = [_flat(part) for part in value]
    elif dataclasses.is_dataclass(value):
        names = [each.name for each in dataclasses.fields(value)]
        parts = [_flat(getattr(value, name)) for name in names
                 if name not in ("header", "covariance") and not name.startswith("_")]  # fmt: skip
    else:
        parts = []
    return np.concatenate([*parts, np.zeros(0)])
