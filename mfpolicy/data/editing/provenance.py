"""Where an edited dataset comes from: notes that add up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mfpolicy.data.reader import Dataset

_PACKAGES = "packages"


def source_notes(dataset: Dataset, sha256: str, episodes: Sequence[int]) -> dict[str, Any]:
    """What is noted of one source: its name, fingerprint and the episodes that were taken."""
    every = list(range(dataset.episode_count))
    return {
        "name": dataset.path.name,
        "fingerprint": sha256,
        "episodes": dataset.episode_count,
        "taken": "all" if list(episodes) == every else [int(index) for index in episodes],
        _PACKAGES: dataset.spec.extra.get(_PACKAGES, []),
    }


def edited_notes(
    sources: Sequence[Dataset], operation: str, options: dict[str, Any], notes: list[dict[str, Any]]
) -> dict[str, Any]:
    """The notes (``extra``) of an edited dataset.

    What all sources say alike stays. What they say differently, earlier edits among it, is kept
    with the source that said it. The versions of the packages begin anew: they are the editor's.
    """
    extras = [
        {name: value for name, value in dataset.spec.extra.items() if name != _PACKAGES}
        for dataset in sources
    ]
    common = {
        name: value
        for name, value in extras[0].items()
        if all(name in other and other[name] == value for other in extras)
    }
    for note, extra in zip(notes, extras, strict=True):
        own = {name: value for name, value in extra.items() if name not in common}
        if own:
            note["notes"] = own
    entry = {"operation": operation, "options": options, "sources": notes}
    return {**common, "edited": [*common.get("edited", []), entry]}
