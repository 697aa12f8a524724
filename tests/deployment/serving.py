"""Servers of a small policy: in a thread of this process, or as a process of their own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager

import numpy as np

from mfpolicy.deployment.chunk_policy import EagerChunkPolicy
from mfpolicy.deployment.server.server import PolicyServer, ServerOptions
from oracles.small_policy import small_policy

ROWS, FRAMES, POINTS, STATE = 1, 2, 8, 5


def observation(seed=0, rows=ROWS):
    random = np.random.default_rng(seed)
    return {
        "point_cloud": random.random((rows, FRAMES, POINTS, 3), dtype=np.float32),
        "agent_pos": random.random((rows, FRAMES, STATE), dtype=np.float32),
    }


def noise(seed=0, rows=ROWS):
    return np.random.default_rng(seed).standard_normal((rows, 4, 2), dtype=np.float32)


class Slowed:
    """A policy that takes its time, keeps the sizes of its batches, and may be held up."""

    def __init__(self, seconds=0.0, policy=None):
        self._decide = EagerChunkPolicy(policy or small_policy())
        self.spec = self._decide.spec
        self.seconds = seconds
        self.rows = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, observation, *, noise=None):
        self.rows.append(len(observation["agent_pos"]))
        self.go.wait(20)
        threading.Event().wait(self.seconds)
        return self._decide(observation, noise=noise)


class Running:
    """A server that runs; ``stop()`` asks it to end."""

    def __init__(self, policy, options):
        self._policy, self._options = policy, options
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.error = None

    def start(self):
        self._thread.start()
        assert self._ready.wait(20)
        if self.error is not None:
            self._thread.join()
            raise self.error
        return self

    async def _run(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            server = PolicyServer(self._policy, self._options)
            await server.run(self._stop, self._note)
        except Exception as error:
            self.error = error
            self._ready.set()

    def _note(self, host, port):
        self.host, self.port = host, port
        self.url = f"ws://{host}:{port}"
        self._ready.set()

    def stop(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)

    def join(self, *, stop=True):
        if stop:
            self.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()


@contextmanager
def running(policy=None, **options):
    server = Running(
        policy or EagerChunkPolicy(small_policy()), ServerOptions(**{"port": 0, **options})
    )
    server.start()
    try:
        yield server
    finally:
        server.join()


@contextmanager
def serving(run, *words, env=None):
    """``mfpolicy serve`` as a process; yields it and the line that says it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mfpolicy", "serve", str(run), "device=cpu", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )
    try:
        line = process.stdout.readline()
        assert line, process.communicate(timeout=20)[1]
        yield process, json.loads(line)
    finally:
        process.kill()
        process.communicate(timeout=20)


def get(url, path="/healthz", token=None):
    """Status and JSON of a GET request to a server's address."""
    request = urllib.request.Request(url.replace("ws://", "http://") + path)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())
