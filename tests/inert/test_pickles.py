"""Pickles read as data: equal to what unpickling gives, bounded in time and memory, never run."""

import contextlib
import io
import pickle
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfpolicy.errors import DataError
from mfpolicy.inert import ARRAY_NAMES, PickleKind, array_of, read_inert

KIND = PickleKind("a test", DataError, 1 << 20, 20_000, ARRAY_NAMES)
PROTO = b"\x80\x04"
KEYS = st.one_of(st.text(max_size=5), st.integers(-(2**50), 2**50), st.booleans(), st.none(),
                 st.tuples(st.integers(-9, 9), st.text(max_size=3)))  # fmt: skip
LEAVES = st.one_of(KEYS, st.floats(allow_nan=False), st.binary(max_size=9), st.integers())
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(KEYS, inner, max_size=4),
        st.sets(KEYS, max_size=4),
        st.frozensets(KEYS, max_size=4),
    ),
    max_leaves=12,
)


def _read(raw: bytes):
    return read_inert(io.BytesIO(raw), KIND)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.integers(2, 5))
def test_plain_values_come_back_as_they_were(value, protocol):
    raw = pickle.dumps(value, protocol=protocol)
    if protocol < 4 and any(isinstance(part, (set, frozenset, bytes)) for part in _parts(value)):
        return  # calls of functions there, hence descriptions here
    found = _read(raw)
    assert found == value
    assert type(found) is type(value)


def _parts(value):
    yield value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _parts(inner)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for inner in value:
            yield from _parts(inner)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["<f8", ">f4", "<i8", "u1", "?", "<f2", ">i2"]),
    st.lists(st.integers(0, 4), max_size=3),
    st.integers(2, 5),
    st.booleans(),
)
def test_arrays_come_back_as_they_were(dtype, shape, protocol, columns_first):
    values = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    values = np.asfortranarray(values) if columns_first else values
    found = array_of(_read(pickle.dumps(values, protocol=protocol)), KIND)
    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype.newbyteorder("=")
    scalar = array_of(_read(pickle.dumps(np.float64(2.5), protocol=protocol)), KIND)
    assert (scalar.shape, float(scalar)) == ((), 2.5)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_changed_pickle_is_read_or_refused(data):
    content = [{"actions": np.ones((3, 2)), "state": {"qpos": np.zeros(2)}, "k": (1, None, "x")}]
    raw = bytearray(pickle.dumps(content, protocol=data.draw(st.integers(2, 5))))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DataError):
        found = _read(bytes(raw))
        path = found[0] if isinstance(found, list) and found else None
        array_of(path.get("actions") if isinstance(path, dict) else path, KIND)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw):
    try:
        _read(PROTO + raw)
    except DataError:
        return


def _text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


BOMBS = {
    "terabyte of bytes": PROTO + b"\x8e" + struct.pack("<Q", 1 << 40) + b".",
    "terabyte of bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
    "four gigabytes of text": PROTO + b"X\xff\xff\xff\xff.",
    "giant int": PROTO + b"\x8b" + struct.pack("<I", 100_000) + b"\x7f" * 100_000 + b".",
    "giant int as text": b"I" + b"9" * 100_000 + b"\n.",
    "far memo": PROTO + b"]r\xff\xff\xff\x7f.",
    "operations": PROTO + b"(" + b"]" * 30_000 + b"l.",
    "names": PROTO + b"cnumpy\nndarray\n" * 60_000 + b".",
    "tuples within tuples as key": PROTO + b"})" + b"2\x86" * 60 + b"Ns.",
    "deep tuple as key": PROTO + b"})" + b"\x85" * 15_000 + b"Ns.",
    "wide tuple as key": PROTO + b"}(" + b"K\x01" * 5_000 + b"tNs.",
    "integers of one hash": PROTO + b"}\x8a\x09" + b"\xff" * 8 + b"\x01Ns.",
    "deep tuple in a set": PROTO + b"\x8f()" + b"\x85" * 15_000 + b"\x90.",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_in_little_memory(bomb):
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            _read(BOMBS[bomb])
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("open_with", [b"]", b"}", b")"])
def test_deep_nesting_takes_no_recursion(open_with):
    inner = {b"]": b"]" * 6_000 + b"a" * 5_999, b"}": b"}" + b"K\x01}" * 4_000 + b"s" * 4_000}.get(
        open_with, b")" + b"\x85" * 15_000
    )
    found = _read(PROTO + inner + b".")
    assert isinstance(found, (list, dict, tuple))


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1 << 40,), "fill its shape"), ((1 << 62, 1 << 62), "fill its shape"), ((-1,), "a shape"),
     (("a",), "a shape"), ((1,) * 20, "a shape")],
)  # fmt: skip
def test_a_declared_array_costs_nothing(shape, message):
    class Declared:
        def __reduce__(self):
            reconstruct = np.zeros(0).__reduce__()
            state = (1, shape, np.dtype("f8"), False, b"\0" * 8)
            return reconstruct[0], reconstruct[1], state

    raw = pickle.dumps(Declared(), protocol=3)
    with pytest.raises(DataError, match=message):
        array_of(_read(raw), KIND)


@pytest.mark.parametrize("value", [slice(1), object(), print, io.BytesIO(b""), type])
def test_other_classes_are_refused_by_name(value):
    with pytest.raises(DataError, match="may name the classes of arrays"):
        _read(pickle.dumps(value))


def test_objects_of_an_array_are_refused():
    with pytest.raises(DataError, match="plain numbers"):
        array_of(_read(pickle.dumps(np.array([None, 1]))), KIND)
    with pytest.raises(DataError, match="plain numbers"):
        array_of(_read(pickle.dumps(np.zeros(2, "c16"))), KIND)
