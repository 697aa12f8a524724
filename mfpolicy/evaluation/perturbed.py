"""What an environment says that it perturbs, as names, words and text. It does the rest itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def folder_name(perturbation: Mapping[str, Any]) -> str:
    """A short name of a perturbation, for folders.

    Args:
        perturbation: its registered name under ``name``, then its options.

    Example:
        >>> folder_name({"name": "missing_points", "fraction": 0.25, "pattern": "region"})
        'missing_points0.25-region'
    """
    numbers = "".join(f"{v:g}" for v in options_of(perturbation).values() if _is_number(v))
    texts = "".join(f"-{v}" for v in options_of(perturbation).values() if isinstance(v, str))
    return f"{perturbation['name']}{numbers}{texts}"


def words(perturbation: Mapping[str, Any] | None) -> list[str]:
    """The words of ``mfpolicy eval`` that lead to a perturbation; none where there is none.

    Example:
        >>> words({"name": "camera_shift", "distance_cm": 3.0})
        ['perturbation=camera_shift', 'perturbation.distance_cm=3']
    """
    if perturbation is None:
        return []
    options = options_of(perturbation).items()
    given = [f"perturbation.{option}={_typed(value)}" for option, value in options]
    return [f"perturbation={perturbation['name']}", *given]


def in_words(perturbation: Mapping[str, Any]) -> str:
    """A perturbation for people.

    Example:
        >>> in_words({"name": "camera_shift", "distance_cm": 3.0})
        'camera_shift, distance_cm 3'
    """
    options = (f"{key} {_typed(value)}" for key, value in options_of(perturbation).items())
    return ", ".join([str(perturbation["name"]), *options])


def options_of(perturbation: Mapping[str, Any]) -> dict[str, Any]:
    """Its options without its name."""
    return {key: value for key, value in perturbation.items() if key != "name"}


def _typed(value: Any) -> str:
    return f"{value:g}" if _is_number(value) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
