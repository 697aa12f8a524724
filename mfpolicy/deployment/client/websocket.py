"""A WebSocket client (RFC 6455) over a plain or TLS socket, for binary messages."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import ssl
import struct
import time
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

import numpy as np

from .errors import PolicyConnectionError, broken, closed_by_server, gone, late, refused

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_MAX_HEADER = 64 * 1024


class WebSocket:
    """One open connection.

    Args:
        url: ``ws://host:port/path``, or ``wss://`` for TLS.
        headers: added to the opening handshake.
        timeout_s: for connecting, and then for each :meth:`send` and :meth:`receive`.
        max_message: bytes of an incoming message; more is refused before it is read.
        tls: for ``wss://``; None trusts the system's certificates.

    Raises:
        PolicyConnectionError: nobody listens there, or the server refused the handshake.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        timeout_s: float,
        max_message: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self.max_message = max_message
        self._deadline = time.monotonic() + timeout_s
        self._buffer = bytearray()
        where = _checked_url(url)
        self._socket = self._connect(where, tls)
        try:
            self._handshake(where, headers)
        except BaseException:
            self._socket.close()
            raise

    def send(self, message: bytes) -> None:
        """Sends one binary message."""
        self._deadline = time.monotonic() + self.timeout_s
        self._send_frame(_BINARY, message)

    def receive(self) -> bytes:
        """Returns the next binary message; answers pings on the way.

        Raises:
            AnswerTimeout: it did not arrive in time.
            PolicyConnectionError: the connection was closed or the server breaks the protocol.
        """
        self._deadline = time.monotonic() + self.timeout_s
        message = bytearray()
        begun = False
        while True:
            final, opcode, payload = self._receive_frame(self.max_message - len(message))
            if opcode == _PING:
                self._send_frame(_PONG, payload)
            elif opcode == _CLOSE:
                self._raise_closed(payload)
            elif opcode in (_BINARY, _CONTINUATION) and begun == (opcode == _CONTINUATION):
                begun = True
                message += payload
                if final:
                    return bytes(message)
            elif opcode != _PONG:
                raise broken(f"a frame of type {opcode} where it has no place")

    def close(self) -> None:
        """Says goodbye and closes the socket; nothing happens where it is closed already."""
        self._deadline = time.monotonic() + min(self.timeout_s, 1.0)
        with contextlib.suppress(OSError):  # whoever does not answer a goodbye is gone all the same
            self._send_frame(_CLOSE, struct.pack(">H", 1000))
            while self._receive_frame(self.max_message)[1] != _CLOSE:
                pass
        self._socket.close()

    def abandon(self) -> None:
        """Closes the socket without a goodbye."""
        self._socket.close()

    def _connect(self, where: SplitResult, tls: ssl.SSLContext | None) -> socket.socket:
        secure = where.scheme == "wss"
        address = (where.hostname or "", where.port or (443 if secure else 80))
        try:
            plain = socket.create_connection(address, timeout=self.timeout_s)
        except OSError as error:
            raise PolicyConnectionError(
                f"a policy server must listen at {where.geturl()}",
                error,
                "start it with `mfpolicy serve`, and check host, port and firewall",
            ) from error
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not secure:
            return plain
        try:
            context = tls if tls is not None else ssl.create_default_context()
            return context.wrap_socket(plain, server_hostname=where.hostname)
        except OSError as error:
            plain.close()
            raise PolicyConnectionError(
                f"{where.geturl()} must offer TLS with a trusted certificate",
                error,
                "pass tls=ssl.create_default_context(cafile=…) for a certificate of your own",
            ) from error

    def _handshake(self, where: SplitResult, headers: Mapping[str, str]) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        lines = {
            "Host": where.netloc.rpartition("@")[2],
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
            **headers,
        }
        target = (where.path or "/") + (f"?{where.query}" if where.query else "")
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._write(f"GET {target} HTTP/1.1\r\n{head}\r\n".encode("ascii"))
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > _MAX_HEADER:
                raise broken("an endless answer to the handshake")
            self._read_more()
        answer, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        status, *fields = answer.decode("latin-1").split("\r\n")
        values = {name.strip().lower(): value.strip() for name, _, value in _split(fields)}
        if " 101 " not in f"{status} ":
            raise refused(status, self._body(values))
        digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
        if values.get("sec-websocket-accept") != base64.b64encode(digest).decode():
            raise broken("a handshake with the wrong Sec-WebSocket-Accept")

    def _body(self, fields: Mapping[str, str]) -> str:
        size = fields.get("content-length", "")
        if size.isdigit() and int(size) <= _MAX_HEADER:
            return self._read(int(size)).decode("utf-8", "replace").strip()
        return ""

    def _send_frame(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            head = struct.pack(">BB", 0x80 | opcode, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, size)
        else:
            head = struct.pack(">BBQ", 0x80 | opcode, 0x80 | 127, size)
        mask = os.urandom(4)
        key = np.frombuffer(mask * (size // 4 + 1), np.uint8)[:size]
        self._write(head + mask + (np.frombuffer(payload, np.uint8) ^ key).tobytes())

    def _receive_frame(self, limit: int) -> tuple[bool, int, bytes]:
        first, second = self._read(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self._read(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._read(8))
        opcode = first & 0x0F
        if first & 0x70 or second & 0x80 or (opcode >= _CLOSE and (size > 125 or first < 0x80)):
            raise broken("a frame that RFC 6455 does not allow")
        if size > limit:
            raise broken(f"a message of more than {self.max_message} bytes")
        return first >= 0x80, opcode, self._read(size)

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._read_more()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _read_more(self) -> None:
        try:
            self._socket.settimeout(self._left())
            data = self._socket.recv(1 << 18)
        except TimeoutError as error:
            raise late(self.timeout_s) from error
        except OSError as error:
            raise gone(error) from error
        if not data:
            raise gone("end of stream")
        self._buffer += data

    def _write(self, data: bytes) -> None:
        try:
            self._socket.settimeout(self._left())
            self._socket.sendall(data)
        except TimeoutError as error:
            raise late(self.timeout_s) from error
        except OSError as error:
            raise gone(error) from error

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise late(self.timeout_s)
        return left

    def _raise_closed(self, payload: bytes) -> None:
        code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
        with contextlib.suppress(OSError):  # it may be gone already
            self._send_frame(_CLOSE, payload[:2])
        self._socket.close()
        raise closed_by_server(code, payload[2:].decode("utf-8", "replace"))


def _split(fields: list[str]) -> list[tuple[str, str, str]]:
    return [field.partition(":") for field in fields]


def _checked_url(url: str) -> SplitResult:
    try:
        where = urlsplit(url)
        known = where.scheme in ("ws", "wss") and url.isascii()
        fits = known and where.hostname and where.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise PolicyConnectionError(
            "the address must be ws://host:port or wss://host:port",
            repr(url),
            "the server prints it when it is ready",
        )
    return urlsplit(url)
