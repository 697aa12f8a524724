"""The client's MessagePack is the library's: byte for byte out, value for value in."""

from __future__ import annotations

import math

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfpolicy.deployment.client.packing import (
    ARRAY_TYPES,
    MAX_DEPTH,
    PackingError,
    from_wire,
    pack,
    to_wire,
    unpack,
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner, max_size=20)
    ),
    max_leaves=40,
)
EDGES = [2**n + d for n in (0, 5, 7, 8, 15, 16, 31, 32, 63) for d in (-1, 0, 1)]


@given(VALUES)
def test_it_writes_the_bytes_of_the_library_and_reads_them_back(value):
    data = pack(value)
    assert data == msgpack.packb(value)
    assert unpack(data) == value
    assert msgpack.unpackb(data) == value


@pytest.mark.parametrize("value", [*EDGES, *(-edge for edge in EDGES if edge <= 2**63)])
def test_whole_numbers_around_every_change_of_form(value):
    assert pack(value) == msgpack.packb(value)
    assert unpack(msgpack.packb(value)) == value


@pytest.mark.parametrize("size", [0, 15, 16, 31, 32, 255, 256, 65535, 65536])
@pytest.mark.parametrize("kind", [str, bytes, list, dict])
def test_sizes_around_every_change_of_form(size, kind):
    values = {str: "x" * size, bytes: b"x" * size, list: [None] * size}
    value = values.get(kind, {str(i): i for i in range(size)})
    assert pack(value) == msgpack.packb(value)
    assert unpack(msgpack.packb(value)) == value


@given(st.floats(width=32))
def test_single_precision_of_others_is_read(value):
    read = unpack(msgpack.packb(value, use_single_float=True))
    assert read == value or (math.isnan(read) and math.isnan(value))


@given(VALUES, st.data())
def test_what_is_cut_short_or_goes_on_is_refused(value, data):
    packed = pack(value)
    with pytest.raises(PackingError):
        unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])
    with pytest.raises(PackingError):
        unpack(packed + b"\xc0")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_the_library_reads_them_or_refused(data):
    try:
        value = unpack(data)
    except PackingError:
        return
    assert repr(value) == repr(msgpack.unpackb(data, raw=False, strict_map_key=False))


@pytest.mark.parametrize(
    "data",
    [
        msgpack.packb(msgpack.ExtType(5, b"code")),
        msgpack.packb(msgpack.Timestamp(1)),
        b"\xc1",
        b"\xdd\xff\xff\xff\xff",  # a list of four milliards
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x91" * (MAX_DEPTH + 2) + b"\xc0",
        b"\x81\x01\x02",  # a number as a key
        b"\xa2\xff\xff",  # text that is not UTF-8
    ],
)
def test_what_the_subset_has_not_is_refused(data):
    with pytest.raises(PackingError):
        unpack(data)


@pytest.mark.parametrize(
    "value", [object(), {1: 2}, 2**64, -(2**63) - 1, {1, 2}, 1j, np.array(["a"])]
)
def test_what_has_no_place_on_the_wire_is_not_written(value):
    with pytest.raises(PackingError):
        pack({"key": value})


@pytest.mark.parametrize("dtype", ARRAY_TYPES)
@pytest.mark.parametrize("order", ["<", ">"])
def test_arrays_come_back_in_every_layout(dtype, order):
    values = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(dtype)
    for array in (
        values,
        values.astype(values.dtype.newbyteorder(order)),
        values[:, ::-1],
        values.T,
    ):
        back = from_wire(unpack(pack(array)))
        assert back.dtype == np.dtype(dtype)
        assert back.flags.writeable
        np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "object"},
        {"dtype": "|O"},
        {"dtype": ["float32"]},
        {"dtype": "float64"},
        {"shape": [2, 3]},
        {"shape": [-1, 4]},
        {"shape": [2.0, 2]},
        {"shape": [True, 4]},
        {"shape": "22"},
        {"shape": [2**62, 2**62]},
        {"shape": [0, 2**62], "data": b""},
        {"shape": [1] * 9},
        {"data": "text"},
        {"data": b"x" * 15},
        {"more": 1},
    ],
)
def test_an_array_that_does_not_add_up_is_refused(change):
    wire = {**to_wire(np.zeros((2, 2), np.float32)), **change}
    with pytest.raises(PackingError):
        from_wire(wire)
