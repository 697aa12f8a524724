"""The server: the policy's own answers, shared batches, errors as answers, and who may connect."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import msgpack
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from deployment.serving import Slowed, get, noise, observation, running
from mfpolicy.deployment.client import PolicyClient, PolicyConnectionError, PolicyServerError
from mfpolicy.deployment.client.packing import from_wire, pack, to_wire
from mfpolicy.deployment.server.batching import Batcher
from mfpolicy.deployment.server.chunk_policy import EagerChunkPolicy
from mfpolicy.deployment.server.messages import checked_request, unpacked
from mfpolicy.deployment.server.server import ServerOptions
from mfpolicy.errors import BackendError, ConfigError, UserError
from oracles.small_policy import small_policy

LIMIT = 20_000
SPEC = small_policy().spec


def _direct(seed, rows=1, **options):
    start = torch.from_numpy(noise(seed, rows))
    return small_policy().predict(observation(seed, rows), noise=start, **options).numpy()


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


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("scale", [1.0, 0.5, 0])
def test_the_same_noise_gives_the_policys_own_actions_bit_for_bit(server, rows, scale):
    with PolicyClient(server.url) as client:
        served = client.predict(observation(5, rows), noise=noise(5, rows), noise_scale=scale)
    np.testing.assert_array_equal(served, _direct(5, rows, noise_scale=scale))
    assert served.dtype == np.float32


def test_a_seed_is_that_of_a_generator(server):
    with PolicyClient(server.url) as client:
        served = client.predict(observation(5, 3), seed=2**63 - 1)
    generator = torch.Generator().manual_seed(2**63 - 1)
    direct = small_policy().predict(observation(5, 3), generator=generator).numpy()
    np.testing.assert_array_equal(served, direct)


def test_the_greeting_describes_the_policy(watcher):
    spec, metadata = small_policy().spec, watcher.metadata
    for key in ("task", "n_obs_steps", "n_action_steps", "horizon", "points", "control_rate_hz"):
        assert metadata["spec"][key] == getattr(spec, key)
    assert metadata["spec"]["shapes"]["actions"] == [None, 3, 2]
    assert metadata["limits"] == {"max_message_bytes": LIMIT, "max_batch": 16}
    assert watcher.predict(observation()).shape[1:] == (3, 2)


def test_eight_clients_at_once_share_batches_and_get_their_own_answers():
    policy = Slowed(0.02)
    with running(policy) as server:

        def ask(number):
            with PolicyClient(server.url, timeout_s=20) as client:
                return [
                    (client.predict(observation(seed), noise=noise(seed)), client.server_timing)
                    for seed in range(10 * number, 10 * number + 6)
                ]

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(8)))
        counts = get(server.url)[1]
    for number, answered in enumerate(answers):
        for step, (actions, _) in enumerate(answered):
            np.testing.assert_allclose(actions, _direct(10 * number + step), atol=1e-5)
    timings = [timing for answered in answers for _, timing in answered]
    assert max(timing["batch_requests"] for timing in timings) > 4
    assert counts["requests"] == 48
    assert counts["batches"] == len(policy.rows) < 24
    for timing in timings:
        assert timing["total_ms"] >= timing["queue_ms"] + timing["inference_ms"] - 0.1


def test_a_lone_client_waits_for_nobody_even_beside_one_that_is_silent():
    with (
        running(window_ms=1000) as server,
        PolicyClient(server.url),
        PolicyClient(server.url) as client,
    ):
        client.predict(observation())
        started = time.monotonic()
        for _ in range(5):
            client.predict(observation())
        assert time.monotonic() - started < 1


def test_clients_that_ask_in_turn_wait_for_one_another_within_the_window():
    policy = Slowed()
    with (
        running(policy, window_ms=300) as server,
        PolicyClient(server.url) as one,
        PolicyClient(server.url) as two,
        ThreadPoolExecutor(2) as pool,
    ):
        for _ in range(3):
            list(pool.map(lambda client: client.predict(observation()), (one, two)))
    assert policy.rows[-2:] == [2, 2]


def test_a_batch_has_at_most_so_many_rows():
    policy = Slowed()
    policy.go.clear()
    with running(policy, max_batch=4) as server:
        clients = [PolicyClient(server.url, timeout_s=20) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            futures = [pool.submit(client.predict, observation(rows=2)) for client in clients]
            time.sleep(0.2)
            policy.go.set()
            assert all(future.result().shape == (2, 3, 2) for future in futures)
        with pytest.raises(PolicyServerError, match="at most 4 rows"):
            clients[0].predict(observation(rows=5))
        for client in clients:
            client.close()
    assert max(policy.rows) == 4
    assert sum(policy.rows) == 12


class _Choosy:
    """Fails on states above 10, makes NaN of those below −10, and too little of those above 5."""

    def __init__(self):
        self._decide = EagerChunkPolicy(small_policy())
        self.spec = self._decide.spec
        self.go = threading.Event()

    def __call__(self, observation, *, noise=None):
        self.go.wait(20)
        if observation["agent_pos"].max() > 10:
            raise RuntimeError("out of memory")
        actions = self._decide(observation, noise=noise)
        actions[observation["agent_pos"].min((1, 2)) < -10] = np.nan
        return actions[: len(actions) - int((observation["agent_pos"] > 5).any())]


def test_a_request_that_the_policy_fails_on_spares_its_batch(caplog):
    policy = _Choosy()
    with running(policy) as server, ThreadPoolExecutor(5) as pool:
        clients = [PolicyClient(server.url, timeout_s=20) for _ in range(5)]
        inputs = [observation(seed) for seed in range(5)]
        inputs[1]["agent_pos"] += 100
        inputs[3]["agent_pos"] -= 100
        inputs[4]["agent_pos"] += 6
        futures = [
            pool.submit(client.predict, value, noise=noise(seed))
            for seed, (client, value) in enumerate(zip(clients, inputs, strict=True))
        ]
        time.sleep(0.2)
        policy.go.set()
        for seed in (0, 2):
            np.testing.assert_allclose(futures[seed].result(), _direct(seed), atol=1e-5)
        for seed in (1, 4):
            with pytest.raises(PolicyServerError, match="see the server's log"):
                futures[seed].result()
        with pytest.raises(PolicyServerError, match="actions must be finite"):
            futures[3].result()
        for client in clients:
            client.close()
    assert "out of memory" in caplog.text
    assert "for 1 observations" in caplog.text


def test_a_server_that_can_compute_no_more_ends_with_the_reason(monkeypatch):
    async def breaks(_batcher):
        await asyncio.sleep(0.2)
        raise MemoryError("no thread")

    monkeypatch.setattr(Batcher, "run", breaks)
    with running() as server:
        server.join(stop=False)
    assert isinstance(server.error, MemoryError)


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


TOKEN = "s3cret~"


@pytest.fixture(scope="module")
def guarded():
    with running(token=TOKEN) as server:
        yield server


@pytest.mark.parametrize("token", [None, "", "s3cret", "s3cret~~", "S3CRET~"])
def test_without_its_token_nobody_gets_in(guarded, token):
    with pytest.raises(PolicyConnectionError) as caught:
        PolicyClient(guarded.url, token=token)
    assert caught.value.code == 401
    assert "Authorization: Bearer" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_with_the_token_a_client_is_served(guarded):
    with PolicyClient(guarded.url, token=TOKEN) as client:
        assert client.predict(observation()).shape == (1, 3, 2)
    assert get(guarded.url)[1] == {"ready": True}
    assert get(guarded.url, token=TOKEN)[1]["requests"] >= 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "robot.local", ""])
def test_others_can_connect_only_with_a_token(host):
    with pytest.raises(ConfigError, match=re.escape(f"must have a token. Received: {host!r}")):
        ServerOptions(host=host)
    assert TOKEN not in repr(ServerOptions(host=host, token=TOKEN))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_alone_needs_no_token(host):
    ServerOptions(host=host)


@pytest.mark.parametrize("token", ["two words", "line\r\nbreak", "über", ""])
def test_a_token_that_no_header_can_carry_is_refused(token):
    with pytest.raises(ConfigError, match="visible ASCII"):
        ServerOptions(token=token)


def test_a_web_page_is_turned_away(server):
    with pytest.raises(InvalidStatus) as caught:
        connect(server.url, origin="https://example.org")
    assert caught.value.response.status_code == 403


def test_health_counts_what_happened():
    with running() as server:
        status, before = get(server.url)
        assert (status, before["ready"], before["requests"]) == (200, True, 0)
        assert before["latency_ms"] == {"p50": None, "p99": None}
        with PolicyClient(server.url) as client:
            for _ in range(3):
                client.predict(observation())
            with pytest.raises(PolicyServerError):
                client.predict(observation(rows=99))
            _, after = get(server.url)
    counts = {key: after[key] for key in ("requests", "errors", "batches", "clients")}
    assert counts == {"requests": 4, "errors": 1, "batches": 3, "clients": 1}
    assert 0 < after["latency_ms"]["p50"] <= after["latency_ms"]["p99"]


def test_a_port_that_is_taken_is_explained(server):
    with pytest.raises(BackendError, match="port=0"), running(port=server.port):
        pass


def test_more_clients_than_allowed_are_turned_away_and_others_stay():
    with running(max_clients=2) as server:
        with PolicyClient(server.url) as one, PolicyClient(server.url):
            with pytest.raises(PolicyConnectionError, match="at most 2 clients") as caught:
                PolicyClient(server.url)
            assert caught.value.code == 503
            assert one.predict(observation()).shape == (1, 3, 2)
        deadline = time.monotonic() + 10
        while get(server.url)[1]["clients"]:
            assert time.monotonic() < deadline
        with PolicyClient(server.url) as again:
            assert again.predict(observation()).shape == (1, 3, 2)
