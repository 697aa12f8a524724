"""A dataset that is made of others lies apart from them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mfpolicy.errors import DataError


def require_apart(sources: Iterable[Path], out: Path) -> None:
    """Requires that ``out`` is no source, in none, and holds none.

    Args:
        sources: folders of datasets that are read.
        out: path that is written to; it need not exist.

    Raises:
        DataError: writing there could change a source.

    Example:
        >>> require_apart([Path("data/a.zarr")], Path("data/b.zarr"))
    """
    target = out.expanduser().resolve()
    for source in sources:
        folder = source.resolve()
        if target.is_relative_to(folder) or folder.is_relative_to(target):
            raise DataError(
                "a dataset must lie apart from what it is made of",
                received=f"{target} of {folder}",
                remedy="write to another path",
            )
