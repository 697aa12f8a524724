"""Nested options: a mapping from configuration becomes a validated frozen dataclass."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from mfpolicy.errors import ConfigError, did_you_mean

T = TypeVar("T")


def parse_options(
    cls: type[T],
    options: Mapping[str, Any] | T | None,
    defaults: Mapping[str, Any] | None = None,
) -> T:
    """Returns ``options`` as an instance of the dataclass ``cls``; None means its defaults.

    Args:
        cls: a dataclass whose fields all have defaults.
        options: values by field.
        defaults: what to take in place of the dataclass's own defaults, by field.

    Raises:
        ConfigError: a key is not a field of ``cls``; the message gives the nearest fields.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Weighting:
        ...     power: float = 0.0
        >>> parse_options(Weighting, {"power": 0.5})
        Weighting(power=0.5)
    """
    defaults = defaults or {}
    if options is None:
        return cls(**defaults)
    if isinstance(options, cls):
        return options
    if not isinstance(options, Mapping):
        raise ConfigError(f"{cls.__name__} options must be a mapping", received=options)
    fields = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in options:
        if key not in fields:
            raise ConfigError(
                f"{cls.__name__} has no option of this name",
                received=key,
                remedy=did_you_mean(str(key), fields),
            )
    return cls(**{**defaults, **options})


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raises ConfigError unless ``low <= value <= high``."""
    if not low <= value <= high:
        raise ConfigError(f"{name} must be in [{low}, {high}]", received=value)


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raises ConfigError unless ``value`` is a whole number in [low, high]."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f"{name} must be a whole number", received=value)
    check_range(name, value, low, high)


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises ConfigError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ConfigError(
            f"{name} must be one of {', '.join(choices)}",
            received=value,
            remedy=did_you_mean(value, choices),
        )
