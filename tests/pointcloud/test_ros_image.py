"""Images and camera parameters of ROS."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mfpolicy.errors import ObservationError
from mfpolicy.pointcloud import depth_to_points
from mfpolicy.pointcloud.geometry import metres
from mfpolicy.pointcloud.ros_image import (
    CameraInfoMessage,
    ImageMessage,
    read_image,
    read_intrinsics,
)

INFO = CameraInfoMessage(2, 3, [10, 0, 1, 0, 10, 0.5, 0, 0, 1], [0.0] * 5)


def image(pixels, encoding, *, order="<", padding=0):
    stored = pixels.astype(pixels.dtype.newbyteorder(order))
    rows = [row.tobytes() + b"\xab" * padding for row in stored]
    height, width = pixels.shape[:2]
    return ImageMessage(height, width, encoding, order == ">", len(rows[0]), b"".join(rows))


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("encoding", "kind"), [("16UC1", "u2"), ("mono16", "u2"), ("32FC1", "f4")])
def test_depth_of_both_byte_orders_and_padded_rows(encoding, kind, order, padding):
    depth = np.array([[0, 1500, 3], [700, 65535, 1]], kind)
    read = read_image(image(depth, encoding, order=order, padding=padding))
    np.testing.assert_array_equal(read, depth)
    assert metres(read).max() == np.float32(65.535) if kind == "u2" else 65535


@pytest.mark.parametrize(
    ("encoding", "stored"),
    [("rgb8", [1, 2, 3]), ("bgr8", [3, 2, 1]), ("rgba8", [1, 2, 3, 9]), ("bgra8", [3, 2, 1, 9])],
)
def test_colors_come_red_first(encoding, stored):
    pixels = np.tile(np.array(stored, np.uint8), (2, 3, 1))
    assert read_image(image(pixels, encoding, padding=2))[1, 2].tolist() == [1, 2, 3]


def test_the_centre_of_the_principal_pixel_lies_on_the_optical_axis():
    points = depth_to_points(np.ones((2, 3)), read_intrinsics(INFO, (2, 3)))
    np.testing.assert_allclose(points[1, :2], [0, -0.05])
    np.testing.assert_allclose(points[4, :2], [0, 0.05])


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"k": [0.0] * 9}, "calibrated"),
        ({"k": [np.nan] * 9}, "calibrated"),
        ({"k": [1.0]}, "calibrated"),
        ({"d": [0.1, 0, 0, 0, 0]}, "rectified"),
        ({"d": [np.nan]}, "rectified"),
        ({"height": 480}, "size of the images"),
    ],
)
def test_cameras_that_do_not_fit_are_refused(change, rule):
    with pytest.raises(ObservationError, match=rule):
        read_intrinsics(dataclasses.replace(INFO, **change), (2, 3))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"encoding": "jpeg"}, "encodings"),
        ({"data": b"\0" * 11}, "must have the data"),
        ({"step": 5}, "must have the data"),
        ({"height": 2**31}, "must have the data"),
        ({"width": 0}, "must have the data"),
    ],
)
def test_damaged_images_are_refused(change, rule):
    good = image(np.ones((2, 3), np.uint16), "16UC1")
    with pytest.raises(ObservationError, match=rule):
        read_image(dataclasses.replace(good, **change))
