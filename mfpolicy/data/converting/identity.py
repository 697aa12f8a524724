"""What tells one zarr dataset from another without reading all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mfpolicy.data.converting.base import digest

_METADATA = (".zarray", ".zgroup", "zarr.json")


def zarr_identity(path: Path) -> str:
    """The sha256 over layout, episode ends and actions of the dataset at ``path``.

    Clouds and images are left out: they are what makes a dataset large, and two datasets of the
    same actions hardly differ in them alone.
    """
    return digest(_parts(path))


def _parts(path: Path) -> Iterator[bytes]:
    for file in sorted(path.rglob("*")):
        within = file.relative_to(path).parts
        if file.is_file() and (within[:1] == ("meta",) or within[:2] == ("data", "action")
                               or file.name in _METADATA):  # fmt: skip
            yield "/".join(within).encode()
            yield file.read_bytes()
