"""Messages that are no request, and requests that fit no policy: answered, never fatal."""

from __future__ import annotations

import contextlib

import msgpack
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from deployment.serving import noise, observation, running
from mfpolicy.deployment.client import PolicyClient
from mfpolicy.deployment.client.packing import from_wire, pack, to_wire
from mfpolicy.deployment.server.messages import checked_request, unpacked
from mfpolicy.errors import UserError
from oracles.small_policy import small_policy

LIMIT = 20_000
SPEC = small_policy().spec


def _direct(seed):
    start = torch.from_numpy(noise(seed))
    return small_policy().predict(observation(seed), noise=start).numpy()


def _request(**changes):
    arrays = {key: to_wire(value) for key, value in observation().items()}
    return {"id": 1, "observation": arrays, "noise": to_wire(noise()), **changes}


@pytest.fixture(scope="module")
def server():
    with running(max_message_bytes=LIMIT) as server:
        yield server


@pytest.fixture(scope="module")
def socket(server):
    with connect(server.url) as socket:
        socket.recv(10)
        yield socket


@pytest.fixture(scope="module")
def watcher(server):
    """A well-behaved client, connected before and asked after every bad message."""
    with PolicyClient(server.url) as client:
        yield client


BROKEN = {
    "text": ("hello", "binary message"),
    "text that is MessagePack": (msgpack.packb(1).decode(), "binary message"),
    "nothing": (b"", "MessagePack map"),
    "noise": (b"\xc1\xff\x00" * 50, "MessagePack map"),
    "an extension": (msgpack.packb(msgpack.ExtType(1, b"x")), "MessagePack map"),
    "a pickle": (b"\x80\x04K\x01.", "MessagePack map"),
    "a timestamp": (msgpack.packb(msgpack.Timestamp(2**33)), "MessagePack map"),
    "deep": (b"\x91" * 5000 + b"\xc0", "MessagePack map"),
    "a huge list": (b"\xdd\xff\xff\xff\xff", "MessagePack map"),
    "keys that are numbers": (b"\x81\x01\x02", "MessagePack map"),
    "a list": (pack([1]), "must be a map"),
    "an empty map": (pack({}), "must have an observation"),
    "more than allowed": (b"x" * (LIMIT + 1), f"at most {LIMIT} bytes"),
    "much more than allowed": (b"x" * (4 * LIMIT), f"at most {LIMIT} bytes"),
    "fragments": ([b"x" * 100] * 1000, f"at most {LIMIT} bytes"),
    "crumbs": ([b"\xc0"] * 5000, f"at most {LIMIT} bytes and 1024 fragments"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_message_that_is_no_request_is_answered_and_the_next_one_served(socket, watcher, name):
    data, message = BROKEN[name]
    socket.send(data)
    error = msgpack.unpackb(socket.recv(10))["error"]
    assert message in error["message"]
    assert set(error) == {"type", "message", "rule", "received", "remedy"}
    socket.send(pack(_request()))
    np.testing.assert_array_equal(
        from_wire(msgpack.unpackb(socket.recv(10))["actions"]), _direct(0)
    )
    np.testing.assert_array_equal(watcher.predict(observation(3), noise=noise(3)), _direct(3))


def _with(key, array):
    arrays = {**observation(), key: array}
    return {"observation": {name: to_wire(value) for name, value in arrays.items()}}


CLOUD = observation()["point_cloud"]
UNFIT = [
    (_with("point_cloud", CLOUD[0]), "point_cloud must have shape (B, To, P, C) = (any, 2, 8, 3)"),
    (_with("point_cloud", CLOUD[:, :1]), "point_cloud must have shape"),
    (_with("point_cloud", CLOUD[..., :2]), "point_cloud must have shape"),
    (_with("point_cloud", CLOUD * np.float32(np.inf)), "point_cloud must be finite"),
    (_with("point_cloud", np.full((1, 2, 8, 3), 1e300)), "point_cloud must be finite"),
    (_with("agent_pos", np.zeros((2, 2, 5))), "agent_pos must have shape (B, To, S) = (1, 2, 5)"),
    (_with("agent_pos", np.full((1, 2, 5), np.nan)), "agent_pos must be finite"),
    ({"observation": {"agent_pos": to_wire(np.zeros((1, 2, 5)))}}, "'point_cloud'"),
    ({"observation": {"point_cloud": to_wire(CLOUD)}}, "'agent_pos'"),
    ({"observation": {"pointcloud": to_wire(CLOUD)}}, "did you mean 'point_cloud'"),
    ({"observation": {"point_cloud": [0.0]}}, "must be an array"),
    ({"observation": {"point_cloud": {**to_wire(CLOUD), "dtype": "int64"}}}, "float32"),
    ({"observation": {"point_cloud": {**to_wire(CLOUD), "dtype": "O"}}}, "float32"),
    ({"observation": {"point_cloud": {**to_wire(CLOUD), "shape": [2**40] * 4}}}, "bytes"),
    ({"observation": None}, "must have an observation"),
    ({"observations": {}}, "did you mean 'observation'"),
    ({"\ud800": 1}, "no key of this name"),
    ({"noise": to_wire(noise()[:, :3])}, "noise must have shape (B, Th, A) = (1, 4, 2)"),
    ({"noise": to_wire(noise() * np.float32(np.nan))}, "noise must be finite"),
    ({"noise": 3}, "noise must be an array"),
    ({"seed": 1}, "not both"),
    ({"noise": None, "seed": -1}, "seed must be in"),
    ({"noise": None, "seed": 2**63}, "seed must be in"),
    ({"noise": None, "seed": 1.5}, "seed must be a whole number"),
    ({"noise": None, "seed": True}, "seed must be a whole number"),
    ({"noise_scale": -1}, "noise_scale must be in"),
    ({"noise_scale": float("nan")}, "noise_scale must be in"),
    ({"noise_scale": "1"}, "noise_scale must be a number"),
]


@pytest.mark.parametrize(("changes", "message"), UNFIT, ids=range(len(UNFIT)))
def test_a_request_that_does_not_fit_is_answered_with_its_own_number(socket, changes, message):
    socket.send(msgpack.packb(_request(id=77, **changes), unicode_errors="surrogatepass"))
    answer = msgpack.unpackb(socket.recv(10))
    if "\ud800" not in changes:  # such text is no UTF-8, so no request
        assert message in answer["error"]["message"]
        assert answer["id"] == 77
    assert "actions" not in answer


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_a_map_or_an_error(data):
    with contextlib.suppress(UserError):  # any other exception fails
        assert isinstance(unpacked(data), dict)


_SHAPES = st.lists(st.integers(-1, 2**62) | st.integers(0, 8), max_size=5)
_ARRAYS = st.fixed_dictionaries(
    {"dtype": st.sampled_from(["float32", "float64", "O", 3]), "shape": _SHAPES},
    optional={"data": st.binary(max_size=200)},
)
_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | _ARRAYS


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["id", "observation", "noise", "seed", "noise_scale", "other"]),
        _VALUES | st.dictionaries(st.sampled_from(["point_cloud", "agent_pos", "x"]), _VALUES),
    ),
    st.booleans(),
)
def test_maps_of_any_kind_are_a_request_or_an_error(changes, fill):
    message = _request(**changes) if fill else changes
    with contextlib.suppress(UserError):  # any other exception fails
        assert checked_request(message, SPEC, 16).rows == 1


def test_more_than_a_frame_may_hold_ends_that_connection_alone(server, watcher):
    with connect(server.url) as socket:
        socket.recv(10)
        socket.send(b"x" * (4 * LIMIT + 1))
        with pytest.raises(ConnectionClosedError) as caught:
            socket.recv(10)
    assert caught.value.rcvd.code == 1009
    np.testing.assert_array_equal(watcher.predict(observation(3), noise=noise(3)), _direct(3))
