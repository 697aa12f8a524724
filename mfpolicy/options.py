"""Nested options: a mapping from configuration becomes a validated frozen dataclass."""

from __future__ import annotations

import dataclasses
import numbers
import types
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_type_hints

from mfpolicy.errors import ConfigError, did_you_mean

T = TypeVar("T")

_KINDS: dict[Any, tuple[type, str]] = {
    float: (numbers.Real, "a number"),
    int: (numbers.Integral, "a whole number"),
    bool: (bool, "true or false"),
    str: (str, "text"),
}


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
        ConfigError: a key is not a field of ``cls``, the message gives the nearest fields; or a
            value is not of its field's type.

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
    hints = get_type_hints(cls)
    for key, value in options.items():
        check_type(f"{cls.__name__}.{key}", value, hints[key])
    return cls(**{**defaults, **options})


def check_type(name: str, value: object, hint: Any) -> None:
    """Raises ConfigError unless ``value`` is of the type ``hint``.

    Numbers, text, true or false, and None where the hint has it, are checked; other hints are not.

    Example:
        >>> check_type("beta", 1, float | None)
        >>> check_type("beta", "one", float)
        Traceback (most recent call last):
        mfpolicy.errors.ConfigError: beta must be a number. Received: 'one'.
    """
    choices = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    optional = types.NoneType in choices
    kinds = [_KINDS[choice] for choice in choices if choice in _KINDS]
    if len(kinds) + optional < len(choices) or (optional and value is None):
        return
    flag = isinstance(value, bool)
    if not any(isinstance(value, kind) and flag == (kind is bool) for kind, _ in kinds):
        words = " or ".join([word for _, word in kinds] + ["null"] * optional)
        raise ConfigError(f"{name} must be {words}", received=value)


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
