"""Errors that a user can mend: each states the rule, the value received and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_ABSENT = object()


class UserError(ValueError):
    """A mistake the user can mend.

    Args:
        rule: what must hold, as a full clause without a final period.
        received: the offending value, shown with ``repr``; left out where there is none.
        remedy: what to do about it, as a full clause without a final period.

    Attributes:
        rule, received, remedy: the three as text, empty where there is none.

    Example:
        >>> str(UserError("episodes must be at least 1", received=0, remedy="pass episodes=10"))
        'episodes must be at least 1. Received: 0. pass episodes=10.'
    """

    def __init__(self, rule: str, *, received: object = _ABSENT, remedy: str = "") -> None:
        parts = [rule.rstrip(".")]
        if received is not _ABSENT:
            parts.append(f"Received: {received!r}")
        if remedy:
            parts.append(remedy.rstrip("."))
        self.rule, self.remedy = rule, remedy
        self.received = "" if received is _ABSENT else repr(received)
        text = ". ".join(parts)
        super().__init__(text if text.endswith("?") else text + ".")


class ConfigError(UserError):
    """A configuration key, name or value that does not exist or does not fit."""


class TaskError(UserError):
    """A task or suite that does not exist."""


class DataError(UserError):
    """A dataset that is missing, damaged, or does not fit its use."""


class ObservationError(UserError):
    """An observation that the policy cannot act on."""


class RequestError(UserError):
    """A message to a policy server that it cannot read."""


class ActionError(UserError):
    """An action outside the action space."""


class RunError(UserError):
    """A run folder that is incomplete or does not fit."""


class BackendError(UserError):
    """Something this machine lacks: a rendering backend, a device, a package."""


def nearest(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """Returns up to ``count`` of ``names`` that look like ``name``, best first.

    Example:
        >>> nearest("drawer-opne", ["drawer-open", "drawer-close", "reach"], count=1)
        ['drawer-open']
    """
    return difflib.get_close_matches(name, list(names), n=count, cutoff=0.4)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Returns the remedy for a misspelt name: the nearest names, else all of them."""
    names = sorted(names)
    close = nearest(name, names)
    if close:
        return "did you mean " + " or ".join(repr(match) for match in close) + "?"
    return "choose one of " + ", ".join(names)
