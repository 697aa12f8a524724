"""Checks of parameter values: each names the parameter, the rule and the value received."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mfpolicy.errors import ConfigError

_UNIT_TOLERANCE = 1e-3
_MOST_COUNTED = 1_000_000


def positive(**values: float) -> None:
    """Refuses values that are not positive and finite."""
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise ConfigError(f"{name} must be above 0 and finite", received=value)


def at_least_zero(**values: float) -> None:
    """Refuses values that are negative or not finite."""
    for name, value in values.items():
        if not 0 <= value < float("inf"):
            raise ConfigError(f"{name} must be 0 or more, and finite", received=value)


def finite(**values: float) -> None:
    """Refuses values that are not finite."""
    for name, value in values.items():
        if not np.isfinite(value):
            raise ConfigError(f"{name} must be finite", received=value)


def countable(flood_window_s: float, **rates_hz: float) -> None:
    """Refuses rates of which there is not one message in the window, or more than can be kept."""
    for name, rate_hz in rates_hz.items():
        positive(**{name: rate_hz})
        if not 1 <= rate_hz * flood_window_s <= _MOST_COUNTED:
            raise ConfigError(
                f"{name} times flood_window_s must be 1 to {_MOST_COUNTED} messages",
                received=f"{rate_hz:g} times {flood_window_s:g}",
                remedy="2 to 3 times the rate of the device, over about a second",
            )


def names(name: str, value: object) -> tuple[str, ...]:
    """``value`` as names, each there once."""
    listed = isinstance(value, list | tuple) and all(
        isinstance(each, str) and each for each in value
    )
    if not listed or len(set(value)) != len(value):  # type: ignore[arg-type]
        raise ConfigError(f"{name} must be a list of different names", received=value)
    return tuple(value)  # type: ignore[arg-type]


def axis_numbers(
    name: str, value: object, count: int | None, axes: Sequence[str] = ()
) -> tuple[float, ...]:
    """``value`` as finite numbers, ``count`` of them unless that is None."""
    try:
        numbers = tuple(float(number) for number in value)  # type: ignore[union-attr]
    except (TypeError, ValueError):
        raise ConfigError(f"{name} must be a list of numbers", received=value) from None
    if not np.isfinite(numbers).all():
        raise ConfigError(f"{name} must be finite", received=value)
    if count is not None and len(numbers) != count:
        raise ConfigError(
            f"{name} must have {count} numbers" + (f", for {', '.join(axes)}" if axes else ""),
            received=value,
            remedy="take limits from the robot's data sheet; there are no defaults" if axes else "",
        )
    return numbers


def unit(name: str, value: object) -> tuple[float, ...]:
    """``value`` as a quaternion of length 1."""
    quaternion = axis_numbers(name, value, 4)
    length = float(np.linalg.norm(quaternion))
    if abs(length - 1) > _UNIT_TOLERANCE:
        raise ConfigError(f"{name} must be a quaternion x, y, z, w of length 1", received=value)
    return tuple(number / length for number in quaternion)
