"""The client: without other packages, against another server, and when a server comes and goes."""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import msgpack
import numpy as np
import pytest
from websockets.sync.server import serve

from deployment.serving import Slowed, get, noise, observation, running
from mfpolicy.deployment.chunk_policy import NoiseSource
from mfpolicy.deployment.client import (
    AnswerTimeout,
    PolicyClient,
    PolicyConnectionError,
    PolicyServerError,
)
from mfpolicy.deployment.client.websocket import WebSocket
from oracles.small_policy import small_policy

CERTIFICATE = Path(__file__).parent / "localhost.pem"
BLOCKED = ("torch", "websockets", "msgpack", "hydra", "omegaconf", "yaml")


def test_it_needs_numpy_and_the_standard_library_alone():
    code = (
        "import sys\n"
        f"sys.modules |= dict.fromkeys({BLOCKED!r})\n"
        "before = set(sys.modules)\n"
        "from mfpolicy.deployment.client import PolicyClient\n"
        "roots = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(roots - set(sys.stdlib_module_names) - {'mfpolicy'}))\n"
        "names = [name for name in sys.modules if name.startswith('mfpolicy')]\n"
        "print(sorted({name.split('.')[1] for name in names if '.' in name}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == ["['numpy']", "['deployment']"]


def test_the_folder_works_as_a_copy_under_another_name(tmp_path):
    import mfpolicy.deployment.client as client

    (tmp_path / "robot_link").symlink_to(Path(client.__file__).parent)
    with running() as server:
        code = (
            "import numpy as np, robot_link\n"
            f"with robot_link.PolicyClient({server.url!r}) as policy:\n"
            "    shapes = policy.metadata['spec']['shapes']\n"
            "    zeros = {k: np.zeros([1, *shapes[k][1:]]) for k in ('point_cloud', 'agent_pos')}\n"
            "    print(policy.predict(zeros).shape)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert done.stdout.strip() == "(1, 3, 2)"


@contextmanager
def _library_server(handler, **options):
    with serve(handler, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


def _connect(port, **options):
    options = {"headers": {}, "timeout_s": 10, "max_message": 2**26, **options}
    return WebSocket(f"ws://127.0.0.1:{port}", **options)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 3_000_001])
def test_messages_of_every_form_of_length_pass_another_server_unharmed(size):
    message = np.random.default_rng(size).bytes(size)
    with _library_server(lambda ws: ws.send(ws.recv()), max_size=None) as port:
        connection = _connect(port)
        connection.send(message)
        assert connection.receive() == message
        connection.close()


def test_fragments_and_pings_between_them_make_one_message():
    pongs = []

    def handler(ws):
        def fragments():
            yield b"one "
            pongs.append(ws.ping())
            yield b"message"

        ws.send(fragments())
        ws.recv()
        assert pongs[0].wait(10)

    with _library_server(handler) as port:
        connection = _connect(port)
        assert connection.receive() == b"one message"
        connection.send(b"")
        with pytest.raises(PolicyConnectionError, match="close code 1000"):
            connection.receive()
        connection.close()
    assert pongs[0].is_set()


def test_a_close_code_and_its_reason_reach_the_robot():
    with (
        _library_server(lambda ws: ws.close(4000, "maintenance")) as port,
        pytest.raises(PolicyConnectionError, match="4000 maintenance") as caught,
    ):
        _connect(port).receive()
    assert caught.value.code == 4000


def test_tls_is_checked_and_works():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
    options = {"headers": {}, "timeout_s": 10, "max_message": 100}
    with _library_server(lambda ws: ws.send(b"safe"), ssl=context) as port:
        connection = WebSocket(f"wss://localhost:{port}", tls=trusting, **options)
        assert connection.receive() == b"safe"
        connection.close()
        with pytest.raises(PolicyConnectionError, match="trusted certificate"):
            WebSocket(f"wss://localhost:{port}", **options)


def _frame(first, payload, size=None):
    return bytes([first, len(payload) if size is None else size]) + payload


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (
            _frame(0x82, b"\x00" * 8, size=127)[:2] + struct.pack(">Q", 2**62),
            "more than 1000 bytes",
        ),
        (_frame(0x81, b"text"), "type 1"),
        (_frame(0x80, b"x"), "type 0"),
        (_frame(0x02, b"x") + _frame(0x82, b"y"), "type 2"),
        (_frame(0xC2, b"x"), "RFC 6455"),
        (_frame(0x09, b"x"), "RFC 6455"),
        (_frame(0x82, b"x", size=0x81), "RFC 6455"),
        (b"", "end of stream"),
        (_frame(0x82, b"half", size=100), "end of stream"),
    ],
)
def test_a_server_that_breaks_the_protocol_is_named(frames, message):
    def handler(ws):
        ws.socket.sendall(frames)
        ws.socket.shutdown(socket.SHUT_WR)
        ws.socket.settimeout(10)

    with _library_server(handler) as port:
        connection = _connect(port, max_message=1000)
        with pytest.raises(PolicyConnectionError, match=message):
            connection.receive()
        connection.abandon()


def _answering(reply):
    """A port at which one TCP client is answered with ``reply`` and nothing else."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        with listener, listener.accept()[0] as peer:
            peer.recv(4096)
            peer.sendall(reply)

    threading.Thread(target=answer).start()
    return listener.getsockname()[1]


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\r\n\r\n",
        b"x" * 200_000,
        b"",
    ],
)
def test_what_is_no_policy_server_is_told_apart(reply):
    with pytest.raises(PolicyConnectionError) as caught:
        PolicyClient(f"ws://127.0.0.1:{_answering(reply)}", timeout_s=5)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "url", ["http://x", "ws://", "robot:8765", "ws://x:port", "ws://x:99999", "ws://ü"]
)
def test_an_address_that_is_none_is_explained(url):
    with pytest.raises(PolicyConnectionError, match="ws://host:port"):
        PolicyClient(url)


@pytest.mark.parametrize("token", ["über", "two words", "a\r\nX-Header: b"])
def test_a_token_that_no_header_can_carry_is_refused(token):
    with pytest.raises(ValueError, match="visible ASCII"):
        PolicyClient("ws://127.0.0.1:1", token=token)


def test_nobody_there_is_explained():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(PolicyConnectionError, match="mfpolicy serve"):
        PolicyClient(f"ws://127.0.0.1:{port}")


def test_another_greeting_is_no_policy_server():
    greeting = msgpack.packb({"metadata": {"protocol": 99}})
    with (
        _library_server(lambda ws: ws.send(greeting)) as port,
        pytest.raises(PolicyConnectionError, match="protocol 1"),
    ):
        PolicyClient(f"ws://127.0.0.1:{port}")


def test_it_finds_a_restarted_server_by_itself_and_says_when_it_cannot():
    with running() as server:
        client = PolicyClient(server.url)
        first = client.predict(observation(), noise=noise())
    with pytest.raises(PolicyConnectionError, match="must listen"):
        client.predict(observation(), noise=noise())
    with running(port=server.port):
        np.testing.assert_array_equal(client.predict(observation(), noise=noise()), first)
    with running(port=server.port):
        np.testing.assert_array_equal(client.predict(observation(), noise=noise()), first)
        client.close()
        np.testing.assert_array_equal(client.predict(observation(), noise=noise()), first)
        client.close()


def test_a_robot_that_paused_for_long_is_dropped_and_comes_back_by_itself(monkeypatch):
    monkeypatch.setattr("mfpolicy.deployment.server.server.PING_S", 0.1)
    with running() as server, PolicyClient(server.url) as client:
        first = client.predict(observation(), noise=noise())
        deadline = time.monotonic() + 10
        while get(server.url)[1]["clients"]:  # it answers no pings while it does not read
            assert time.monotonic() < deadline
        np.testing.assert_array_equal(client.predict(observation(), noise=noise()), first)


def test_another_policy_at_the_same_address_is_refused():
    with running() as server, PolicyClient(server.url) as client:
        client.metadata["spec"]["task"] = "metaworld/other"
        client.close()
        with pytest.raises(PolicyConnectionError, match="served before"):
            client.predict(observation())


def test_a_late_answer_is_never_taken_for_the_next():
    policy = Slowed()
    with running(policy) as server, PolicyClient(server.url, timeout_s=10) as client:
        expected = client.predict(observation(1), noise=noise(1))
        client.timeout_s = 0.3
        policy.go.clear()
        with pytest.raises(AnswerTimeout, match=r"timeout_s = 0\.3 s"):
            client.predict(observation(0), noise=noise(0))
        policy.go.set()
        client.timeout_s = 10
        np.testing.assert_array_equal(client.predict(observation(1), noise=noise(1)), expected)


def test_without_the_batch_axis_the_answer_has_none():
    with running() as server, PolicyClient(server.url) as client:
        whole = client.predict(observation(), noise=noise())
        bare = {key: value[0] for key, value in observation().items()}
        np.testing.assert_array_equal(client.predict(bare, noise=noise()[0]), whole[0])


def test_an_episode_with_a_seed_repeats_itself_and_goes_on():
    with running() as server, PolicyClient(server.url) as client:
        episodes = []
        for seed in (3, 3, 4, None, None):
            client.reset(seed)
            episodes.append([client.predict(observation()) for _ in range(2)])
    a, again, other, free, freer = np.array(episodes)
    np.testing.assert_array_equal(a, again)
    for one, two in ((a[0], a[1]), (a, other), (free, freer), (free[0], free[1])):
        assert not np.array_equal(one, two)


def test_a_seed_draws_the_noise_that_it_draws_in_the_policy():
    drawn = NoiseSource(small_policy().spec).draw(1, seed=11)
    with running() as server, PolicyClient(server.url) as client:
        by_seed = client.predict(observation(), seed=11)
        np.testing.assert_array_equal(by_seed, client.predict(observation(), noise=drawn))
        centre = client.predict(observation(), seed=11, noise_scale=0)
        np.testing.assert_array_equal(centre, client.predict(observation(), noise=0 * drawn))


@pytest.mark.parametrize("bad", [["a"], [None], np.zeros(3, complex), [object()]])
def test_what_are_no_numbers_is_refused_before_it_is_sent(bad):
    refused = pytest.raises(ValueError, match="agent_pos must be an array of numbers")
    with running() as server, PolicyClient(server.url) as client, refused:
        client.predict({**observation(), "agent_pos": bad})


def test_too_large_a_request_is_refused_before_it_is_sent():
    with running(max_message_bytes=1000) as server, PolicyClient(server.url) as client:
        with pytest.raises(ValueError, match="at most 1000 bytes"):
            client.predict(observation(rows=8))
        assert client.predict(observation()).shape == (1, 3, 2)


def test_errors_of_the_server_say_rule_received_and_remedy():
    with running() as server, PolicyClient(server.url) as client:
        broken = observation()
        broken["point_cloud"][0, 0, 0, 0] = np.nan
        with pytest.raises(PolicyServerError) as caught:
            client.predict(broken)
        error = caught.value
        assert (error.kind, error.rule) == ("ObservationError", "point_cloud must be finite")
        assert "1 NaN" in error.received
        assert "drop the frame" in error.remedy
        assert client.predict(observation()).shape == (1, 3, 2)
