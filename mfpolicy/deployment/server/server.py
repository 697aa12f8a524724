"""`PolicyServer`: clients, the batches that they share, health, and a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import http
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response
from websockets.protocol import State

from mfpolicy.deployment.chunk_policy import ChunkPolicy
from mfpolicy.deployment.server import messages
from mfpolicy.deployment.server.access import check_exposure, is_admitted
from mfpolicy.deployment.server.batching import Batcher
from mfpolicy.deployment.server.connection import FRAME_ALLOWANCE, bounded_connection, receive, send
from mfpolicy.deployment.server.health import Health
from mfpolicy.errors import BackendError, UserError

GOING_AWAY = 1001
OPEN_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0
END_TIMEOUT_S = 10.0
PING_S = 20.0
"""A client is pinged so often, and dropped if it does not answer within the same time."""

ACTIVE_S = 1.0
"""A client that asked within this time counts as one that a batch may wait for."""


@dataclass(frozen=True)
class ServerOptions:
    """How a server listens and what it takes.

    Attributes:
        host, port: where it listens; port 0 takes a free one.
        token: what clients must show; needed where others than this machine can connect.
        max_batch: most rows of one forward pass, and of one request.
        window_ms: longest that a request waits for those of other clients that are asking.
        max_clients: connections at a time; more are turned away.
        max_message_bytes: size of a request.

    Raises:
        ConfigError: others than this machine can connect, and there is no token.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = field(default=None, repr=False)
    max_batch: int = 16
    window_ms: float = 1.0
    max_clients: int = 32
    max_message_bytes: int = 8 * 2**20

    def __post_init__(self) -> None:
        check_exposure(self.host, self.token)


class PolicyServer:
    """Serves a policy to any number of clients.

    Args:
        policy: decides.
        options: how to listen.

    Example::

        policy = EagerChunkPolicy(load_policy("runs/drawer-open"))
        asyncio.run(PolicyServer(policy, ServerOptions()).run(asyncio.Event(), print))
    """

    def __init__(self, policy: ChunkPolicy, options: ServerOptions) -> None:
        self._spec = policy.spec
        self._options = options
        self._policy = policy
        self._health = Health()
        self._asked: dict[ServerConnection, float] = {}
        self._busy: set[ServerConnection] = set()
        self._stopping = False
        limits = {"max_message_bytes": options.max_message_bytes, "max_batch": options.max_batch}
        self._greeting = messages.greeting(policy.spec, limits)

    async def run(self, stop: asyncio.Event, ready: Callable[[str, int], None]) -> None:
        """Serves until ``stop`` is set; what is being computed then is still answered.

        Args:
            stop: ends it.
            ready: called with host and port once clients can connect.

        Raises:
            BackendError: it cannot listen there.
        """
        options = self._options
        self._batcher = Batcher(
            self._policy,
            max_rows=options.max_batch,
            window_s=options.window_ms / 1e3,
            active=self._active_clients,
        )
        computing = asyncio.create_task(self._batcher.run())
        try:
            server = await self._listen()
            ready(*server.sockets[0].getsockname()[:2])
            await _first_of(asyncio.create_task(stop.wait()), computing)
            await self._end(server)
            if computing.done():
                computing.result()  # it never ends of itself: raise what ended it
        finally:
            computing.cancel()
            self._batcher.close()

    async def _listen(self) -> Server:
        options = self._options
        try:
            return await serve(
                self._serve_client,
                options.host,
                options.port,
                compression=None,  # costs more time than it saves, and lets little become much
                origins=[None],  # no web page may reach a robot through its user's browser
                process_request=self._answer_http,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=PING_S,
                ping_timeout=PING_S,
                max_size=(None, FRAME_ALLOWANCE * options.max_message_bytes),
                max_queue=1,
                create_connection=bounded_connection(),
            )
        except OSError as error:
            raise BackendError(
                "host and port must be free to listen on",
                received=f"{options.host}:{options.port}: {error.strerror or error}",
                remedy="port=0 takes a free port",
            ) from error

    async def _end(self, server: Server) -> None:
        self._stopping = True
        server.close(close_connections=False)
        idle = [client for client in self._asked if client not in self._busy]
        await asyncio.gather(*(self._say_goodbye(client) for client in idle))
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await server.wait_closed()
        except TimeoutError:
            for client in list(self._asked):
                client.transport.abort()

    async def _say_goodbye(self, client: ServerConnection) -> None:
        await client.close(GOING_AWAY, "the server is shutting down")

    async def _serve_client(self, client: ServerConnection) -> None:
        self._asked[client] = float("-inf")
        try:
            with contextlib.suppress(ConnectionClosed):
                await send(client, self._greeting)
                while not self._stopping:
                    await self._serve_request(client)
                await self._say_goodbye(client)
        finally:
            del self._asked[client]
            self._busy.discard(client)

    async def _serve_request(self, client: ServerConnection) -> None:
        identity = None
        self._busy.discard(client)
        try:
            data = await receive(client, self._options.max_message_bytes)
            self._busy.add(client)
            started = self._asked[client] = time.monotonic()
            message = messages.unpacked(data)
            identity = messages.identity_of(message)
            request = messages.checked_request(message, self._spec, self._options.max_batch)
        except UserError as error:
            self._health.refused()
            await send(client, messages.refusal(identity, error))
            return
        decision = await self._batcher.decide(request, lambda: client.state is State.OPEN)
        if decision is None:
            return
        if isinstance(decision.actions, Exception):
            self._health.refused()
            await send(client, messages.refusal(identity, decision.actions))
            return
        total_ms = (time.monotonic() - started) * 1e3
        self._health.answered(total_ms)
        timing = {**decision.timing, "total_ms": total_ms}
        await send(client, messages.answer(identity, decision.actions, timing))

    def _active_clients(self) -> int:
        since = time.monotonic() - ACTIVE_S
        return sum(asked > since for asked in self._asked.values())

    def _answer_http(self, client: ServerConnection, request: HttpRequest) -> Response | None:
        """Answers /healthz, and turns away whom the handshake must not let in."""
        admitted = is_admitted(request.headers.get("Authorization", ""), self._options.token)
        if request.path.partition("?")[0] == "/healthz":
            return _json(http.HTTPStatus.OK, self._report(whole=admitted))
        if not admitted:
            words = "a client must send the server's token as Authorization: Bearer TOKEN"
            return _json(http.HTTPStatus.UNAUTHORIZED, {"error": words})
        if len(self._asked) >= self._options.max_clients:
            words = f"this server takes at most {self._options.max_clients} clients"
            return _json(http.HTTPStatus.SERVICE_UNAVAILABLE, {"error": words})
        return None

    def _report(self, *, whole: bool) -> dict[str, object]:
        ready: dict[str, object] = {"ready": not self._stopping}
        if not whole:
            return ready
        counts = {"batches": self._batcher.batches, "clients": len(self._asked)}
        return {**ready, "task": self._spec.task, **counts, **self._health.report()}


async def _first_of(waiting: asyncio.Task[bool], computing: asyncio.Task[None]) -> None:
    await asyncio.wait({waiting, computing}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


def _json(status: http.HTTPStatus, value: object) -> Response:
    body = json.dumps(value).encode() + b"\n"
    headers = Headers(
        [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
    )
    return Response(status.value, status.phrase, headers, body)
