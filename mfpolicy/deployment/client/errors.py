"""What can go wrong between a robot and its policy server: rule, received, remedy."""

from __future__ import annotations


class PolicyServerError(ValueError):
    """The server refused a request; the connection is as good as before.

    Attributes:
        kind: name of the error, for example ``ObservationError``.
        rule: what must hold. received: what was met, as text. remedy: what to do.
    """

    def __init__(self, kind: str, message: str, rule: str, received: str, remedy: str) -> None:
        super().__init__(message)
        self.kind, self.rule, self.received, self.remedy = kind, rule, received, remedy


class PolicyConnectionError(ConnectionError):
    """The server cannot be reached, refused, went away, or breaks the protocol.

    Attributes:
        rule: what must hold. received: what was met, as text. remedy: what to do.
        code: close code or HTTP status that the server gave, if any.
    """

    def __init__(self, rule: str, received: object, remedy: str, code: int | None = None) -> None:
        super().__init__(f"{rule}. Received: {received}. {remedy}.")
        self.rule, self.received, self.remedy, self.code = rule, str(received), remedy, code


class ConnectionLost(PolicyConnectionError):
    """A connection that stood is gone; another may be opened."""


class AnswerTimeout(PolicyConnectionError, TimeoutError):
    """The server did not answer in time."""


def late(timeout_s: float) -> AnswerTimeout:
    """The error of a server that is silent."""
    return AnswerTimeout(
        f"the server must answer within timeout_s = {timeout_s:g} s",
        "no answer",
        "see its /healthz for the load, or raise timeout_s",
    )


def gone(received: object) -> ConnectionLost:
    """The error of a connection that broke."""
    return ConnectionLost(
        "the server must keep the connection open", received, "ask again when it is back"
    )


def closed_by_server(code: int, reason: str) -> ConnectionLost:
    """The error of a connection that the server closed, with its code and reason."""
    return ConnectionLost(
        "the server must keep the connection open",
        f"close code {code} {reason}".rstrip(),
        "ask again when it is back",
        code,
    )


def broken(received: str) -> PolicyConnectionError:
    """The error of a server that does not speak the protocol."""
    return PolicyConnectionError(
        "the server must speak WebSocket (RFC 6455) and this protocol",
        received,
        "check the address, and that server and client are of one version",
    )


def refused(status: str, body: str) -> PolicyConnectionError:
    """The error of a handshake that was answered with this HTTP status and text."""
    words = status.split(" ", 2)
    code = int(words[1]) if len(words) > 1 and words[1].isdigit() else None
    remedies = {401: "pass the token that the server was started with", 503: "try again later"}
    return PolicyConnectionError(
        "the server must accept the connection",
        f"{status} {body}".strip(),
        remedies.get(code or 0, "check that this is the address of a policy server"),
        code,
    )
