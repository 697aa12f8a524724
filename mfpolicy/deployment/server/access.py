"""Who may connect: loopback alone without a token, and whoever has it with one."""

from __future__ import annotations

import hmac
import ipaddress
import re

from mfpolicy.errors import ConfigError


def check_exposure(host: str, token: str | None) -> None:
    """Refuses to listen beyond this machine without a token.

    Raises:
        ConfigError: the host is no loopback address and there is no token, or the token cannot
            travel in a header.

    Example:
        >>> check_exposure("127.0.0.1", None)
        >>> check_exposure("0.0.0.0", None)
        Traceback (most recent call last):
        mfpolicy.errors.ConfigError: a server that others can reach must have a token. \
Received: '0.0.0.0'. add token=… or use host=127.0.0.1.
    """
    if token is not None and not re.fullmatch(r"[!-~]+", token):
        raise ConfigError(
            "a token must be made of visible ASCII characters without spaces",
            remedy="`openssl rand -hex 16` makes a good one",
        )
    if token is None and not is_loopback(host):
        raise ConfigError(
            "a server that others can reach must have a token",
            received=host,
            remedy="add token=… or use host=127.0.0.1",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_admitted(authorization: str, token: str | None) -> bool:
    """Whether an Authorization header opens the door; compared in constant time."""
    if token is None:
        return True
    return hmac.compare_digest(
        authorization.encode("utf-8", "surrogateescape"), f"Bearer {token}".encode()
    )
