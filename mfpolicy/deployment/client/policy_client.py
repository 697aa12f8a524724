"""`PolicyClient`: observations in, action chunks out, from a server that may come and go."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np

from .errors import ConnectionLost, PolicyConnectionError, PolicyServerError, broken
from .packing import PackingError, from_wire, pack, unpack
from .websocket import WebSocket

PROTOCOL = 1
MAX_ANSWER = 64 * 2**20


class PolicyClient:
    """Asks a policy server for action chunks.

    It connects at once. A connection that the server closed, for example because it was restarted,
    is opened again by the next request. Calls from several threads wait for one another.

    Args:
        url: ``ws://host:port``, or ``wss://`` for TLS.
        token: what the server was started with, if it has one.
        timeout_s: for connecting, and for each answer.
        tls: for ``wss://``; None trusts the system's certificates.

    Attributes:
        metadata: what the server said of itself: ``spec`` (shapes, n_obs_steps, n_action_steps,
            control_rate_hz, recipe of the point clouds, …), ``limits``, ``version``, ``protocol``.
        server_timing: milliseconds of the last answer: ``queue_ms``, ``inference_ms``,
            ``total_ms``, and with how many ``batch_requests`` and ``batch_rows`` it was computed.

    Raises:
        PolicyConnectionError: nobody listens there, or the server refused.
        ValueError: the timeout is not positive, or no header can carry the token.

    Example::

        with PolicyClient("ws://127.0.0.1:8765") as policy:
            actions = policy.predict({"point_cloud": cloud, "agent_pos": state})
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = 5.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if not 0 < timeout_s < float("inf"):
            raise ValueError(f"timeout_s must be above 0 and finite. Received: {timeout_s!r}.")
        if token is not None and not re.fullmatch(r"[!-~]*", token):
            raise ValueError("a token must be made of visible ASCII characters without spaces.")
        self.url = url
        self.timeout_s = timeout_s
        self.metadata: dict[str, Any] = {}
        self.server_timing: dict[str, float] = {}
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._tls = tls
        self._lock = threading.Lock()
        self._episode: np.random.Generator | None = None
        self._request = 0
        self._socket: WebSocket | None = self._open()

    def predict(
        self,
        observation: Mapping[str, Any],
        *,
        noise: Any = None,
        seed: int | None = None,
        noise_scale: float = 1.0,
    ) -> np.ndarray:
        """Returns the action chunk of an observation, in the environment's units.

        Args:
            observation: ``point_cloud`` (B, To, P, 3) in metres in the world frame, (B, To, P, 6)
                with colors from 0 to 255 for a policy that sees them, and ``agent_pos`` (B, To,
                S). Without the batch axis, so are noise and actions.
            noise: (B, Th, A) that the chunk starts from; the same noise gives the same actions.
            seed: draws the noise in place of ``noise``; the same seed gives the same noise.
            noise_scale: factor on the noise; 0 leaves the centre of the policy's chunks.

        Returns:
            Actions (B, Ta, A) float32.

        Raises:
            PolicyServerError: the server cannot act on this; says rule, received and remedy.
            AnswerTimeout: no answer within ``timeout_s``; the next request opens a new connection.
            PolicyConnectionError: the server is gone, or serves another policy than before.
            ValueError: what was given are no numbers.
        """
        fields = {str(key): _floats(str(key), value) for key, value in observation.items()}
        bare = _without_batch_axis(fields)
        message: dict[str, Any] = {
            "observation": {key: value[None] if bare else value for key, value in fields.items()},
            "noise_scale": float(noise_scale),
        }
        with self._lock:
            if noise is not None:
                start = _floats("noise", noise)
                message["noise"] = start[None] if bare else start
            elif seed is None and self._episode is not None:
                seed = int(self._episode.integers(2**63))
            if seed is not None:
                message["seed"] = seed
            answer = self._ask(message)
        self.server_timing = answer["server_timing"]
        try:
            actions = from_wire(answer["actions"])
        except PackingError as error:
            raise broken(f"actions that cannot be read: {error}") from error
        return actions[0] if bare else actions

    def reset(self, seed: int | None = None) -> None:
        """Begins an episode. With a seed, its chunks start from noise that follows from the seed.

        The server keeps nothing between requests, so there is nothing to reset on its side.
        """
        with self._lock:
            self._episode = None if seed is None else np.random.default_rng(seed)

    def close(self) -> None:
        """Says goodbye to the server; the next request would connect again."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> WebSocket:
        connection = WebSocket(
            self.url,
            headers=self._headers,
            timeout_s=self.timeout_s,
            max_message=MAX_ANSWER,
            tls=self._tls,
        )
        try:
            self._take_metadata(_read(connection.receive()))
        except BaseException:
            connection.abandon()
            raise
        return connection

    def _take_metadata(self, greeting: dict[str, Any]) -> None:
        metadata = greeting.get("metadata")
        if not isinstance(metadata, dict) or metadata.get("protocol") != PROTOCOL:
            raise broken(f"a greeting without protocol {PROTOCOL}")
        before = self.metadata.get("spec")
        if before is not None and before != metadata.get("spec"):
            raise PolicyConnectionError(
                "a server that comes back must serve the policy it served before",
                f"spec of {metadata.get('spec', {}).get('task')!r} with other values",
                "look at what is served there, and make a new PolicyClient",
            )
        self.metadata = metadata

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self._request += 1
        data = self._packed({"id": self._request, **message})
        fresh = self._socket is None
        try:
            answer = self._exchange(data)
        except ConnectionLost:
            if fresh:
                raise
            answer = self._exchange(data)  # an answer depends on its request alone: ask again
        if "error" in answer:
            error = {key: str(value) for key, value in answer["error"].items()}
            words = (error.get(key, "") for key in ("message", "rule", "received", "remedy"))
            raise PolicyServerError(error.get("type", ""), *words)
        return answer

    def _exchange(self, data: bytes) -> dict[str, Any]:
        if self._socket is None:
            self._socket = self._open()
        connection, self._socket = self._socket, None
        connection.timeout_s = self.timeout_s
        try:
            connection.send(data)
            answer = _read(connection.receive())
            if answer.get("id") != self._request or not {"error", "actions"} & set(answer):
                raise broken("an answer to another request")
        except BaseException:
            connection.abandon()  # what is left of an exchange must not answer the next
            raise
        self._socket = connection
        return answer

    def _packed(self, message: dict[str, Any]) -> bytes:
        data = pack(message)
        limit = self.metadata.get("limits", {}).get("max_message_bytes", len(data))
        if len(data) > limit:
            raise ValueError(
                f"a message must have at most {limit} bytes. Received: {len(data)}. "
                "send fewer rows or points, or raise max_message_mb of the server."
            )
        return data


def _read(data: bytes) -> dict[str, Any]:
    try:
        message = unpack(data)
    except PackingError as error:
        raise broken(f"a message that is no MessagePack: {error}") from error
    if not isinstance(message, dict):
        raise broken(f"a message that is a {type(message).__name__}")
    return message


def _floats(name: str, value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be an array of numbers. Received: {array.dtype}.")
    return array.astype(np.float32, copy=False)


def _without_batch_axis(fields: Mapping[str, np.ndarray]) -> bool:
    return "point_cloud" in fields and fields["point_cloud"].ndim == 3
