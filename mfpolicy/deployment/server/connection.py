"""One client's connection: reads messages within their limits, and writes answers."""

from __future__ import annotations

import asyncio

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from mfpolicy.errors import RequestError

FRAME_ALLOWANCE = 4
"""A frame of up to so many times the size limit is read and answered with an error; a larger one
ends the connection with close code 1009 before it is read."""

MAX_FRAGMENTS = 1024
MAX_HANDSHAKES = 64
"""Connections that have not finished their handshake; the oldest gives way to a newer one."""

MESSAGE_TIMEOUT_S = 10.0
SEND_TIMEOUT_S = 10.0
SLOW = 1008
"""Close code of a client that sends half a message and no more (policy violation)."""


def bounded_connection() -> type[ServerConnection]:
    """Returns the connection class of one server.

    Connections that say nothing cannot use up the files that a process may open: of those without
    a handshake only the latest are kept, so that who does speak is heard.
    """
    silent: dict[ServerConnection, None] = {}

    class BoundedConnection(ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            for spoken in [c for c in silent if c.state is not State.CONNECTING]:
                del silent[spoken]
            silent[self] = None
            if len(silent) > MAX_HANDSHAKES:
                oldest = next(iter(silent))
                del silent[oldest]
                oldest.transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            silent.pop(self, None)

    return BoundedConnection


class MessageTooLarge(RequestError):
    """A message above the size limit."""


async def receive(connection: ServerConnection, limit: int) -> bytes | str:
    """Returns the next message, however long it takes to begin.

    Of a message above the limit only its size is kept, so the connection can go on.

    Raises:
        MessageTooLarge: it had more than ``limit`` bytes.
        ConnectionClosed: the client is gone, or began a message and did not end it in time.
    """
    fragments = connection.recv_streaming()
    kept = [await anext(fragments)]
    size = _size(kept[0])
    try:
        async with asyncio.timeout(MESSAGE_TIMEOUT_S):
            async for fragment in fragments:
                size += _size(fragment)
                if size > limit or len(kept) >= MAX_FRAGMENTS:
                    kept.clear()
                    size = max(size, limit + 1)
                kept.append(fragment)
    except TimeoutError:
        await connection.close(SLOW, f"a message must end within {MESSAGE_TIMEOUT_S:g} s")
        raise connection.protocol.close_exc from None
    if size > limit:
        raise MessageTooLarge(
            f"a message must have at most {limit} bytes and {MAX_FRAGMENTS} fragments",
            received=size,
            remedy="send fewer rows or points, or raise max_message_mb of the server",
        )
    if isinstance(kept[0], str):
        return kept[0]
    return b"".join(fragment for fragment in kept if isinstance(fragment, bytes))


async def send(connection: ServerConnection, message: bytes) -> None:
    """Sends a message; drops a client that does not read it in time.

    Raises:
        ConnectionClosed: the client is gone.
    """
    try:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await connection.send(message)
    except TimeoutError:
        connection.transport.abort()
        await connection.wait_closed()
        raise connection.protocol.close_exc from None


def _size(fragment: bytes | str) -> int:
    return len(fragment) if isinstance(fragment, bytes) else len(fragment.encode())
