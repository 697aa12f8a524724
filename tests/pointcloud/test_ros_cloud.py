"""Point clouds of ROS: every layout gives the same points, damage is refused."""

from __future__ import annotations

import array
import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfpolicy.errors import ObservationError
from mfpolicy.pointcloud.ros_cloud import PointCloudMessage, PointField, read_points

DATATYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}


def message(columns, kinds, *, order="<", rows=1, lead=0, gap=0, padding=0):
    """A cloud packed by hand: ``lead`` bytes before, ``gap`` between channels, padded rows."""
    points = len(next(iter(columns.values())))
    fields, offset = [], lead
    for name, kind in kinds.items():
        fields.append(PointField(name, offset, DATATYPES[kind]))
        offset += np.dtype(kind).itemsize + gap
    width = points // rows
    raw = np.full((rows, width * offset + padding), 0xAB, np.uint8)
    for field, (name, kind) in zip(fields, kinds.items(), strict=True):
        values = np.asarray(columns[name]).astype(order + kind)
        for point in range(points):
            begin = (point % width) * offset + field.offset
            stored = np.frombuffer(values[point : point + 1].tobytes(), np.uint8)
            raw[point // width, begin : begin + len(stored)] = stored
    return PointCloudMessage(rows, width, fields, order == ">", offset, raw.shape[1], raw.tobytes())


@given(
    kind=st.sampled_from(["f4", "f8", "i2", "i4", "u1"]),
    order=st.sampled_from("<>"),
    names=st.permutations(["x", "y", "z", "intensity"]),
    rows=st.sampled_from([1, 2, 3]),
    gap=st.integers(0, 3),
    padding=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_every_layout_gives_the_same_points(kind, order, names, rows, gap, padding):
    values = np.random.default_rng(0).integers(0, 100, (6, 4)).astype(np.float64)
    columns = dict(zip(names, values.T, strict=True))
    cloud = message(
        columns, dict.fromkeys(names, kind), order=order, rows=rows, lead=gap, gap=gap,
        padding=padding,
    )  # fmt: skip
    points, colors = read_points(cloud)
    assert colors is None
    np.testing.assert_array_equal(points, np.stack([columns[name] for name in "xyz"], axis=1))


def test_coordinates_keep_their_precision_and_missing_points_are_nan():
    columns = {"x": [1e6 + 1e-4, np.nan], "y": [0, np.inf], "z": [1, 2]}
    points, _ = read_points(message(columns, dict.fromkeys("xyz", "f8")))
    assert points.dtype == np.float64
    assert points[0, 0] == 1e6 + 1e-4
    assert np.isfinite(points).all(axis=1).tolist() == [True, False]
    assert read_points(message(columns, dict.fromkeys("xyz", "f4")))[0].dtype == np.float32


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", ["u4", "f4"])
def test_packed_colors_are_read_from_their_bits(order, packed):
    bits = np.array([0xFF102030, 0x00FF7F01], np.uint32)
    columns = {"x": [1, 2], "y": [1, 2], "z": [1, 2], "rgb": bits.view(packed)}
    cloud = message(columns, {"x": "f4", "y": "f4", "z": "f4", "rgb": packed}, order=order)
    assert read_points(cloud)[1].tolist() == [[0x10, 0x20, 0x30], [0xFF, 0x7F, 0x01]]


def test_colors_may_be_channels_of_their_own():
    columns = {name: [number, number + 1] for number, name in enumerate("xyzrgb")}
    kinds = dict.fromkeys("xyz", "f4") | dict.fromkeys("rgb", "u1")
    assert read_points(message(columns, kinds))[1].tolist() == [[3, 4, 5], [4, 5, 6]]


@pytest.mark.parametrize("kind", [bytes, bytearray, list, lambda d: array.array("B", d)])
def test_data_may_be_any_bytes(kind):
    cloud = message({"x": [1], "y": [2], "z": [3]}, dict.fromkeys("xyz", "f4"))
    cloud = dataclasses.replace(cloud, data=kind(cloud.data))
    assert read_points(cloud)[0].tolist() == [[1, 2, 3]]


GOOD = message({"x": [1, 2], "y": [1, 2], "z": [1, 2]}, dict.fromkeys("xyz", "f4"))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"data": GOOD.data[:-1]}, "must have the data"),
        ({"data": b""}, "must have the data"),
        ({"width": 2**31}, "must have the data"),
        ({"height": 0}, "must have the data"),
        ({"row_step": 0}, "must have the data"),
        ({"row_step": 2**32}, "must have the data"),
        ({"point_step": 0}, "within a point"),
        ({"point_step": 11}, "within a point"),
        ({"fields": GOOD.fields[:2]}, "x, y and z"),
        ({"fields": []}, "x, y and z"),
        ({"fields": [*GOOD.fields[:2], PointField("z", 8, 9)]}, "x, y and z"),
        ({"fields": [*GOOD.fields[:2], PointField("z", 8, 7, 2)]}, "x, y and z"),
        ({"fields": [*GOOD.fields[:2], PointField("z", 2**32 - 1)]}, "within a point"),
        ({"fields": [*GOOD.fields, PointField("rgb", 0, 8)]}, "within|4 bytes"),
    ],
)
def test_damaged_messages_are_refused(change, rule):
    assert read_points(GOOD)[0].shape == (2, 3)
    with pytest.raises(ObservationError, match=rule):
        read_points(dataclasses.replace(GOOD, **change))


@given(
    numbers=st.lists(st.integers(-5, 40), min_size=4, max_size=4),
    offsets=st.lists(st.integers(-5, 40), min_size=3, max_size=3),
    datatypes=st.lists(st.integers(0, 10), min_size=3, max_size=3),
    data=st.binary(max_size=200),
    big=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_garbage_is_read_within_its_data_or_refused(numbers, offsets, datatypes, data, big):
    fields = [
        PointField(name, offset, datatype)
        for name, offset, datatype in zip("xyz", offsets, datatypes, strict=True)
    ]
    height, width, step, row = numbers
    try:
        points, _ = read_points(PointCloudMessage(height, width, fields, big, step, row, data))
    except ObservationError:
        return
    assert points.shape == (height * width, 3)
    assert height * width * step <= len(data)
