"""Where an edited dataset comes from: fingerprints of its sources, and notes that add up."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mfpolicy.data.reader import Dataset

_TAIL_BYTES = 16  # the last four of a chunk of ours are its checksum
_PACKAGES = "packages"


def fingerprint(root: Path) -> str:
    """The sha256 of a dataset's metadata, and of the size and last bytes of its chunks.

    A chunk of ours ends with a checksum of all its bytes, so another content shows, while only a
    few bytes of each file are read.
    """
    found = hashlib.sha256()
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        found.update(f"{file.relative_to(root).as_posix()}\n".encode())
        size = file.stat().st_size
        found.update(f"{size}\n".encode())
        with file.open("rb") as stream:
            if file.name != "zarr.json":
                stream.seek(max(0, size - _TAIL_BYTES))
            found.update(stream.read())
    return found.hexdigest()


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
