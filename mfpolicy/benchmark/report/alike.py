"""Which of several settings are unlike most of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any


def unlike_most(told: Mapping[str, Mapping[str, Any]]) -> dict[str, set[str]]:
    """The keys in which some differ from most.

    Args:
        told: name → settings, JSON-able; at least one.

    Returns:
        Name → keys of other values, of those that have any.

    Example:
        >>> unlike_most({"a": {"nfe": 1}, "b": {"nfe": 1}, "c": {"nfe": 2, "later": None}})
        {'c': {'nfe'}}
    """
    usual = usual_of(told.values())
    keys = {name: differing(usual, settings) for name, settings in told.items()}
    return {name: found for name, found in keys.items() if found}


def usual_of(settings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The settings that most have, the first of them where several do."""
    kinds = Counter(json.dumps(each, sort_keys=True) for each in settings)
    return json.loads(kinds.most_common(1)[0][0])


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> set[str]:
    """Keys of other values. One that a record lacks is an option of a later version, off there."""
    both = {key for key in a.keys() & b.keys() if a[key] != b[key]}
    return both | {key for key in a.keys() ^ b.keys() if a.get(key, b.get(key))}
