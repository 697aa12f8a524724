"""Images and camera parameters of ROS → arrays, with numpy alone.

A message is anything with the fields of ``sensor_msgs/Image`` or ``CameraInfo``: what rclpy or
rosbags give, or the plain classes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mfpolicy.errors import ObservationError
from mfpolicy.pointcloud.geometry import pixel_matrix
from mfpolicy.pointcloud.ros_cloud import as_bytes

_DEPTHS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_COLORS = {
    "rgb8": (3, (0, 1, 2)),
    "bgr8": (3, (2, 1, 0)),
    "rgba8": (4, (0, 1, 2)),
    "bgra8": (4, (2, 1, 0)),
    "mono8": (1, (0, 0, 0)),
}
_NO_DISTORTION = 1e-9


@dataclass(frozen=True, eq=False)
class ImageMessage:
    """The plain fields of ``sensor_msgs/Image``, for where there is no ROS.

    Attributes:
        height, width: pixels. encoding: for example ``16UC1``.
        is_bigendian: byte order. step: bytes of a row, its padding included. data: all rows.
    """

    height: int
    width: int
    encoding: str
    is_bigendian: bool
    step: int
    data: Any


@dataclass(frozen=True, eq=False)
class CameraInfoMessage:
    """The plain fields of ``sensor_msgs/CameraInfo``, for where there is no ROS.

    Attributes:
        height, width: pixels of the calibrated image; 0 where they are not said.
        k: (9,) intrinsics, row by row, (0, 0) the centre of the first pixel.
        d: distortion coefficients.
    """

    height: int
    width: int
    k: Sequence[float]
    d: Sequence[float] = ()


class ImageLike(Protocol):
    """What has the fields of an Image; see `ImageMessage`."""

    height: Any
    width: Any
    encoding: Any
    is_bigendian: Any
    step: Any
    data: Any


def read_image(message: ImageLike) -> NDArray[Any]:
    """The pixels of an Image.

    Args:
        message: depth in ``16UC1``, ``mono16`` or ``32FC1``, or color in ``rgb8``, ``bgr8``,
            ``rgba8``, ``bgra8`` or ``mono8``.

    Returns:
        Depth (H, W) in its own unit, or color (H, W, 3) uint8, red first.

    Raises:
        ObservationError: the encoding is another, or its data do not have its size.

    Example:
        >>> data = np.array([[0, 1500]], ">u2").tobytes()
        >>> read_image(ImageMessage(1, 2, "16UC1", True, 4, data)).tolist()
        [[0, 1500]]
    """
    encoding = str(message.encoding)
    if encoding in _DEPTHS:
        kind, channels, order = _DEPTHS[encoding], 1, None
    elif encoding in _COLORS:
        (channels, order), kind = _COLORS[encoding], "u1"
    else:
        raise ObservationError(
            "an image must have one of the encodings " + ", ".join((*_DEPTHS, *_COLORS)),
            received=encoding[:40],
            remedy="use raw images, not compressed ones",
        )
    dtype = np.dtype((">" if message.is_bigendian else "<") + kind)
    height, width, step = int(message.height), int(message.width), int(message.step)
    data = as_bytes(message.data)
    pixel = channels * dtype.itemsize
    if not (0 < width * pixel <= step and 0 < height * step <= data.nbytes):
        raise ObservationError(
            f"an image must have the data of its {height} x {width} pixels",
            received=f"{data.nbytes} bytes, step {step}",
        )
    strides = (step, pixel, dtype.itemsize)
    pixels = np.ndarray((height, width, channels), dtype, data, strides=strides)
    if order is None:
        return pixels[..., 0].astype(dtype.newbyteorder("="))
    return pixels[..., list(order)]


def read_intrinsics(message: Any, shape: tuple[int, ...] | None = None) -> NDArray[np.float64]:
    """The pinhole matrix (3, 3) of a CameraInfo in our convention.

    Args:
        message: of ROS 2 (``k``, ``d``) or ROS 1 (``K``, ``D``).
        shape: (H, W) of the images it is used for; None does not look.

    Raises:
        ObservationError: the camera is not calibrated, its images are distorted, or it was
            calibrated at another size.

    Example:
        >>> read_intrinsics(CameraInfoMessage(4, 4, [8, 0, 1.5, 0, 8, 1.5, 0, 0, 1]))[0].tolist()
        [8.0, 0.0, 2.0]
    """
    matrix = np.asarray(getattr(message, "k", getattr(message, "K", ())), np.float64)
    distortion = np.asarray(getattr(message, "d", getattr(message, "D", ())), np.float64)
    known = matrix.shape == (9,) and np.isfinite(matrix).all() and (matrix[[0, 4]] > 0).all()
    if not known:
        raise ObservationError(
            "a CameraInfo must have a calibrated matrix K", received=matrix.tolist()
        )
    if not (np.abs(distortion) <= _NO_DISTORTION).all():
        raise ObservationError(
            "depth must come from a rectified camera, whose distortion is 0",
            received=distortion.tolist(),
            remedy="use the rectified topics of the camera",
        )
    size = (int(message.height), int(message.width))
    if shape is not None and size not in ((0, 0), shape):
        raise ObservationError(
            "a CameraInfo must be of the size of the images (H, W)", received=(size, shape)
        )
    return pixel_matrix(matrix[0], matrix[4], matrix[2], matrix[5])
