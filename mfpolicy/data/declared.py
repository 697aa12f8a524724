"""What array metadata may declare: sizes and lists that an honest array can have."""

from __future__ import annotations

import math
from typing import Any

MAX_CHUNK_BYTES = 1 << 30
"""Largest decoded chunk, and largest row; a reader takes a few times as much memory."""
MAX_AXES = 8
MAX_STEPS = 1 << 48
_LONGEST_LIST = 64


def require_short_lists(metadata: dict[str, Any]) -> None:
    """Raises a ValueError if a list is longer than any shape: zarr takes minutes for such."""
    pending: list[Any] = [value for key, value in metadata.items() if key != "attributes"]
    while pending:
        item = pending.pop()
        if isinstance(item, dict | list):
            if len(item) > _LONGEST_LIST:
                raise ValueError(f"a list of {len(item)} entries")
            pending.extend(item.values() if isinstance(item, dict) else item)


def impossible_sizes(shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int) -> bool:
    """Whether no honest array has these sizes; anything else can be read piece by piece."""
    return (
        not 1 <= len(shape) <= MAX_AXES
        or shape[0] > MAX_STEPS
        or min((*chunks, *shape[1:])) < 1
        or math.prod(chunks) * itemsize > MAX_CHUNK_BYTES
        or math.prod(shape[1:]) * itemsize > MAX_CHUNK_BYTES
    )
