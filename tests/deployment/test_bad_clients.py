"""Clients that send garbage, half a message or nothing, read nothing, or vanish: they harm none."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import time
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from deployment.serving import Slowed, get, noise, observation, running
from mfpolicy.deployment.client import PolicyClient
from mfpolicy.deployment.client.packing import pack, to_wire
from mfpolicy.deployment.client.websocket import WebSocket
from mfpolicy.deployment.server import connection, server

PATIENCE_S = 0.3
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
REQUEST = pack({"observation": {key: to_wire(v) for key, v in observation(rows=16).items()}})


@pytest.fixture
def impatient(monkeypatch):
    """Servers lose patience in a moment."""
    monkeypatch.setattr(connection, "MESSAGE_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(connection, "SEND_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(server, "OPEN_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(server, "PING_S", PATIENCE_S)


def _raw(url, *, greeted=True):
    host, port = url.removeprefix("ws://").split(":")
    peer = socket.create_connection((host, int(port)), timeout=10)
    if greeted:
        peer.sendall(HANDSHAKE)
        while b"metadata" not in peer.recv(65536):
            pass
    return peer


def _frame(first, size):
    return bytes([first, 0x80 | 127]) + struct.pack(">Q", size) + b"mask"


def _no_handshake(url):
    return _raw(url, greeted=False)


def _half_a_handshake(url):
    peer = _raw(url, greeted=False)
    peer.sendall(HANDSHAKE[:50])
    return peer


def _endless_header(url):
    peer = _raw(url, greeted=False)
    peer.sendall(HANDSHAKE[:-2] + b"X: " + b"y" * 100_000)
    return peer


def _random_bytes(url):
    peer = _raw(url, greeted=False)
    peer.sendall(np.random.default_rng(0).bytes(10_000))
    return peer


def _random_frames(url):
    peer = _raw(url)
    peer.sendall(np.random.default_rng(0).bytes(10_000))
    return peer


def _half_a_frame(url):
    peer = _raw(url)
    peer.sendall(_frame(0x82, 1000) + b"x" * 10)
    return peer


def _half_a_message(url):
    peer = _raw(url)
    peer.sendall(_frame(0x02, 3) + b"abc")
    return peer


def _announces_too_much(url):
    peer = _raw(url)
    peer.sendall(_frame(0x82, 2**62))
    return peer


def _floods(url):
    peer = _raw(url)
    peer.settimeout(0.2)
    try:
        for _ in range(200):
            peer.sendall(_frame(0x02, 2**16) + os.urandom(2**16))
    except OSError:
        pass  # it was stopped, or is held back
    return peer


def _vanishes(url):
    peer = _raw(url)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sendall(_frame(0x82, 1000))
    peer.close()  # with a reset
    return peer


BAD = [
    _no_handshake,
    _half_a_handshake,
    _endless_header,
    _random_bytes,
    _random_frames,
    _half_a_frame,
    _half_a_message,
    _announces_too_much,
    _floods,
    _vanishes,
]


def _closed(peer):
    """Waits until the server has closed the connection, where the client has not itself."""
    if peer.fileno() < 0:
        return
    peer.settimeout(10)
    try:
        while peer.recv(65536):
            pass
    except ConnectionError:
        pass  # closed with a reset
    peer.close()


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.__name__.strip("_"))
def test_who_breaks_off_is_dropped_and_others_are_served_meanwhile(bad, impatient):
    with running(max_message_bytes=100_000) as served, PolicyClient(served.url) as client:
        expected = client.predict(observation(), noise=noise())
        peers = [bad(served.url) for _ in range(3)]
        started, asked = time.monotonic(), 0
        while time.monotonic() < started + 2 * PATIENCE_S or asked < 10 or _clients(served.url) > 1:
            actions = client.predict(observation(), noise=noise())
            np.testing.assert_array_equal(actions, expected)
            asked += 1
            assert time.monotonic() < started + 20
        for peer in peers:
            _closed(peer)


def _clients(url):
    return get(url)[1]["clients"]


def _expect_clients(url, count):
    deadline = time.monotonic() + 10
    while _clients(url) != count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("message", [REQUEST, b"garbage"], ids=["request", "garbage"])
def test_who_reads_no_answers_is_dropped_and_others_are_served_meanwhile(message, impatient):
    with running(max_message_bytes=100_000) as served, PolicyClient(served.url) as client:
        expected = client.predict(observation(), noise=noise())
        peer = _raw(served.url)
        peer.settimeout(0.01)
        frames = (_frame(0x82, len(message))[:10] + b"\0\0\0\0" + message) * 20
        deadline = time.monotonic() + 20
        while _clients(served.url) > 1:
            assert time.monotonic() < deadline
            with contextlib.suppress(OSError):  # it is held back, and then dropped
                peer.sendall(frames)
            actions = client.predict(observation(), noise=noise())
            np.testing.assert_array_equal(actions, expected)
        peer.close()


def test_a_crowd_that_says_nothing_keeps_nobody_out_and_holds_few_files():
    with running() as served, PolicyClient(served.url) as client, ExitStack() as stack:
        expected = client.predict(observation(), noise=noise())
        crowd = []
        for _ in range(3):
            for _ in range(connection.MAX_HANDSHAKES):
                peer = stack.enter_context(_no_handshake(served.url))
                peer.setblocking(False)
                crowd.append(peer)
            with PolicyClient(served.url) as newcomer:
                for robot in (client, newcomer):
                    actions = robot.predict(observation(), noise=noise())
                    np.testing.assert_array_equal(actions, expected)
        assert sum(map(_is_open, crowd)) <= connection.MAX_HANDSHAKES


def _is_open(peer):
    try:
        return peer.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def test_an_answer_that_finds_no_room_in_time_drops_its_client(impatient):
    outcome = []

    async def handler(peer):
        try:
            await connection.send(peer, bytes(2**25))
        except ConnectionClosed:
            outcome.append("dropped")

    async def scenario():
        async with serve(handler, "127.0.0.1", 0, ping_interval=None) as listening:
            port = listening.sockets[0].getsockname()[1]
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            writer.write(HANDSHAKE)
            started = time.monotonic()
            while not outcome:
                await asyncio.sleep(0.05)
            writer.close()
            return time.monotonic() - started

    assert PATIENCE_S <= asyncio.run(scenario()) < 5


def test_who_disconnects_while_waiting_costs_no_computation_and_no_other_an_answer():
    policy = Slowed()
    with running(policy, max_batch=4) as served:
        client = PolicyClient(served.url, timeout_s=20)
        client.predict(observation())
        policy.go.clear()
        with _asking(served.url) as first:
            _until(lambda: len(policy.rows) == 2)
            with _asking(served.url), _asking(served.url):
                time.sleep(0.2)
        _expect_clients(served.url, 4)  # those whose turn has not come are still waiting
        policy.go.set()
        _expect_clients(served.url, 1)
        assert policy.rows == [1, 1]
        assert client.predict(observation()).shape == (1, 3, 2)
        client.close()
        first.abandon()


@contextmanager
def _asking(url):
    """A client that has asked, and leaves without reading the answer."""
    peer = WebSocket(url, headers={}, timeout_s=10, max_message=2**20)
    peer.receive()
    peer.send(pack({"observation": {key: to_wire(v) for key, v in observation().items()}}))
    yield peer
    peer.abandon()


def _until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_ends_in_time_beside_clients_that_never_say_goodbye(impatient):
    with running() as served, ExitStack() as stack:
        peers = [stack.enter_context(make(served.url)) for make in (_raw, _no_handshake)]
        started = time.monotonic()
        served.join()
        assert time.monotonic() - started < 5
        assert len(peers) == 2


def test_what_is_in_flight_when_it_ends_is_still_answered():
    policy = Slowed()
    with running(policy) as served:
        peer = WebSocket(served.url, headers={}, timeout_s=10, max_message=2**20)
        peer.receive()
        policy.go.clear()
        peer.send(pack({"observation": {key: to_wire(v) for key, v in observation().items()}}))
        _until(lambda: policy.rows)
        served.stop()
        time.sleep(0.2)
        policy.go.set()
        assert b"actions" in peer.receive()
        with pytest.raises(ConnectionError, match="close code 1001 the server is shutting down"):
            peer.receive()
