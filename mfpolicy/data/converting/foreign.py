"""Bounds on what files of strangers may declare, and paths that stay where they belong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from mfpolicy.errors import DataError

MAX_EPISODE_BYTES = 8 << 30
"""One episode is in memory at a time; one that declares more is refused unread."""
MAX_EPISODES = 1_000_000
MAX_STEPS = 10_000_000
MAX_TEXT_BYTES = 64 << 20


def bounded(name: str, shape: Sequence[int], itemsize: int) -> int:
    """Bytes of an array of ``shape``, refused where no episode can be so large.

    Raises:
        DataError: it is beyond ``MAX_EPISODE_BYTES``, or has a negative or empty axis.

    Example:
        >>> bounded("depth", (10, 84, 84), 4)
        282240
    """
    size = math.prod(int(axis) for axis in shape) * itemsize
    if size > MAX_EPISODE_BYTES or min(shape, default=1) < 1:
        raise DataError(
            f"'{name}' must have no empty axis and at most {MAX_EPISODE_BYTES >> 30} GiB an "
            "episode",
            received=f"shape {tuple(shape)}, {size} bytes",
        )
    return size


def inside(root: Path, relative: str) -> Path:
    """The file ``relative`` to ``root``; one that leads out of it is refused.

    Raises:
        DataError: it leads out, by dots or by a link, or it is not a file.
    """
    base = root.resolve()
    path = (base / relative).resolve()
    if not path.is_relative_to(base):
        raise DataError("a file of the recordings must lie in their folder", received=relative)
    if not path.is_file():
        raise DataError(f"{root} must have the file {relative}", remedy="check that it is whole")
    return path


def read_text(file: Path) -> str:
    """The text of a small file.

    Raises:
        DataError: it is too large, not UTF-8, or cannot be read.
    """
    try:
        if file.stat().st_size > MAX_TEXT_BYTES:
            raise DataError(
                f"a text file must have at most {MAX_TEXT_BYTES >> 20} MiB", received=str(file)
            )
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} must be readable text: {error}") from error
