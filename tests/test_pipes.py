"""Messages through a pipe: what arrives is what was sent, or an error, never something else."""

from __future__ import annotations

import io
import json
import struct

import numpy as np
import pytest

from mfpolicy.errors import DataError
from mfpolicy.pipes import read_message, write_message


def written(head, arrays=None) -> bytes:
    file = io.BytesIO()
    write_message(file, head, arrays)
    return file.getvalue()


def headed(told) -> bytes:
    text = told if isinstance(told, bytes) else json.dumps(told).encode()
    return struct.pack("<4sI", b"mfp1", len(text)) + text


def test_what_was_written_is_read_one_after_the_other():
    arrays = {"depth": np.arange(6, dtype=np.float32).reshape(2, 3), "none": np.zeros((0, 3))}
    file = io.BytesIO(written({"say": "frame", "ns": 2**60}, arrays) + written({"say": "clock"}))
    head, found = read_message(file)
    assert head == {"say": "frame", "ns": 2**60}
    assert [found[name].dtype for name in arrays] == [np.float32, np.float64]
    np.testing.assert_array_equal(found["depth"], arrays["depth"])
    assert found["none"].shape == (0, 3)
    assert read_message(file) == ({"say": "clock"}, {})
    assert read_message(file) is None


def test_a_message_that_was_cut_is_none():
    whole = written({"say": "frame"}, {"depth": np.ones(5)})
    for length in range(len(whole)):
        assert read_message(io.BytesIO(whole[:length])) is None


@pytest.mark.parametrize(
    "broken",
    [
        b"Warning: something printed here\n",
        struct.pack("<4sI", b"mfp1", 2**32 - 1) + b"{}",
        headed(b"{no json"),
        headed(b"\xff\xfe"),
        headed([1, []]),
        headed({"say": "frame"}),
        headed([{"say": "frame"}, [["depth", "<f4"]]]),
        headed([{"say": "frame"}, [["depth", "nonsense", [2]]]]),
        headed([{"say": "frame"}, [["depth", "<f4", [-1]]]]),
        headed([{"say": "frame"}, [["depth", "<f4", [2**40]]]]),
    ],
)
def test_what_is_no_message_is_an_error_and_waits_for_nothing(broken):
    with pytest.raises(DataError, match="message"):
        read_message(io.BytesIO(broken))
