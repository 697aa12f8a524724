"""Checks of configuration values: each names the key, the rule and the value received."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mfpolicy.errors import ConfigError


def at_least(minimum: float, **values: float | None) -> None:
    """Refuses values below ``minimum``; None is no value."""
    for name, value in values.items():
        if value is not None and not value >= minimum:
            raise ConfigError(f"{name} must be at least {minimum}", received=value)


def above_zero(**values: float) -> None:
    """Refuses values that are not positive and finite."""
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise ConfigError(f"{name} must be above 0 and finite", received=value)


def not_empty(**values: str | None) -> None:
    """Refuses blank text; None is no text."""
    for name, value in values.items():
        if value is not None and not value.strip():
            raise ConfigError(f"{name} must not be empty", received=value)


def one_of(choices: Sequence[str], **values: str) -> None:
    """Refuses values that are none of the choices."""
    for name, value in values.items():
        if value not in choices:
            raise ConfigError(f"{name} must be one of " + ", ".join(choices), received=value)


def known_device(device: str) -> None:
    """Refuses what does not name a torch device."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise ConfigError(
            "device must name a torch device",
            received=device,
            remedy="use auto, cpu, cuda, cuda:N or mps",
        )
