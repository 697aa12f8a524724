"""Validation of a dataset's structure: everything that can be said without reading its steps."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mfpolicy.data.inside import plain, require_folder
from mfpolicy.data.root_notes import committed_counts, read_root, read_spec
from mfpolicy.data.schema import META_DTYPES, REQUIRED_ARRAYS, SCHEMA_NAME, DatasetSpec
from mfpolicy.data.stored_array import METADATA_FILES, StoredArray
from mfpolicy.errors import DataError

MAX_POINTS = 2**20
MAX_WIDTH = 2**16
"""Largest state and action dimension; more is taken for damage or malice."""

MAX_ARRAYS = 256
MAX_EPISODES = 1 << 20
ARRAY_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")

_SHAPES = {"point_cloud": ("(N, P, 3)", 3), "state": ("(N, S)", 2), "action": ("(N, A)", 2)}
_AGAIN = "collect or convert the dataset again"


@dataclass(frozen=True)
class Structure:
    """A dataset found sound: its arrays, its per-episode arrays in memory, its notes."""

    root: Path
    zarr_format: Literal[2, 3]
    attributes: dict[str, Any]
    arrays: dict[str, StoredArray]
    meta: dict[str, np.ndarray]
    spec: DatasetSpec


def read_structure(root: Path) -> Structure:
    """Returns the structure of the dataset at ``root``.

    Raises:
        DataError: as :func:`mfpolicy.data.reader.open_dataset`; no finished episode is fine.
    """
    zarr_format, attributes = read_root(root)
    ours = attributes.get("schema") == SCHEMA_NAME
    episodes, steps = committed_counts(root, attributes) if ours else (None, None)
    if ours and not isinstance(attributes.get("journal", {}), dict):
        raise DataError(f"the journal of {root} must be a JSON object", remedy=_AGAIN)
    if episodes == 0:
        empty = {name: np.zeros(0, dtype) for name, dtype in META_DTYPES.items()}
        spec = read_spec(root, attributes, attributes)
        return Structure(root, zarr_format, attributes, {}, empty, spec)

    arrays = {
        name: stored
        for name in array_names(root, zarr_format)
        if (stored := open_step_array(root, name, zarr_format, ours=ours)) is not None
    }
    rows = _check_lengths(root, arrays, steps)
    for name, stored in arrays.items():
        check_shape(stored, ours=ours)
        stored.check_chunks(rows, missing_ok=not ours and name != "point_cloud")
    dims = dimensions(arrays)
    meta = {
        name: read_meta(root, zarr_format, name, episodes, rows)
        for name in (META_DTYPES if ours else ("episode_ends",))
    }
    _check_ends(root, meta["episode_ends"], rows)
    spec = read_spec(root, attributes if ours else {}, dims)
    for name, size in dims.items():
        if getattr(spec, name) != size:
            raise DataError(
                f"{root} says {name} {getattr(spec, name)}, but stores {size}", remedy=_AGAIN
            )
    return Structure(root, zarr_format, attributes, arrays, meta, spec)


def array_names(root: Path, zarr_format: Literal[2, 3]) -> list[str]:
    """Returns the names of the arrays below ``data``, the required ones among them or not.

    Raises:
        DataError: ``data`` is missing or a link, a name is no identifier, or there are too many.
    """
    try:
        require_folder(root, "data")
    except OSError as error:
        raise DataError(
            "a dataset must have the folder 'data'", received=str(root), remedy=_AGAIN
        ) from error
    names = [*REQUIRED_ARRAYS, *optional_arrays(root, zarr_format)]
    for name in names:
        if not ARRAY_NAME.match(name):
            raise DataError(
                f"the name of an array of {root} must be an identifier",
                received=plain(name),
                remedy="rename its folder",
            )
    if len(names) > MAX_ARRAYS:
        raise DataError(
            f"a dataset may have at most {MAX_ARRAYS} arrays",
            received=f"{len(names)} in {root}",
            remedy=_AGAIN,
        )
    return sorted(names)


def optional_arrays(root: Path, zarr_format: Literal[2, 3]) -> list[str]:
    """Returns the names of the other arrays below ``data``, however many, whatever the name."""
    folders = sorted((root / "data").iterdir())
    return [
        folder.name
        for folder in folders
        if os.path.lexists(folder / METADATA_FILES[zarr_format])
        and folder.name not in REQUIRED_ARRAYS
    ]


def open_step_array(
    root: Path, name: str, zarr_format: Literal[2, 3], *, ours: bool
) -> StoredArray | None:
    """Opens ``data/<name>``; None where a foreign dataset keeps something else than numbers there.

    Raises:
        DataError: as :meth:`StoredArray.open`; or one of ours holds no numbers.
    """
    stored = StoredArray.open(root, f"data/{name}", zarr_format)
    if stored.array.dtype.kind in "fiub":
        return stored
    if not ours and name not in REQUIRED_ARRAYS:
        return None  # texts beside the steps
    raise DataError(
        f"'data/{name}' of {root} must "
        + ("be float32" if name in REQUIRED_ARRAYS else "hold numbers or booleans"),
        received=str(stored.array.dtype),
        remedy=_AGAIN,
    )


def _check_lengths(root: Path, arrays: dict[str, StoredArray], steps: int | None) -> int:
    """Returns N: the committed steps of ours, else the common length of all arrays."""
    lengths = {name: len(stored) for name, stored in arrays.items()}
    rows = lengths["point_cloud"] if steps is None else steps
    for name, length in lengths.items():
        if length < rows or (steps is None and length != rows):
            raise DataError(
                f"all arrays of a dataset must be equally long, but in {root} 'data/{name}' has "
                f"{length} steps and {'episode_ends' if steps else 'data/point_cloud'} {rows}",
                remedy=_AGAIN,
            )
    return rows


def check_shape(stored: StoredArray, *, ours: bool) -> None:
    """Checks the shape and the type of a required array; the others may have any.

    Raises:
        DataError: they are not those of the schema.
    """
    array, rule = stored.array, f"'{stored.name}' of {stored.root}"
    name = stored.name.removeprefix("data/")
    if name not in _SHAPES:
        return
    shape, ndim = _SHAPES[name]
    channels = () if name != "point_cloud" else (3,) if ours else (3, 6)
    limit = MAX_WIDTH if ndim == 2 else MAX_POINTS
    if array.ndim != ndim or (channels and array.shape[2] not in channels):
        raise DataError(f"{rule} must have shape {shape}", received=array.shape, remedy=_AGAIN)
    if array.dtype.kind != "f":
        raise DataError(f"{rule} must be float32", received=str(array.dtype), remedy=_AGAIN)
    if array.shape[1] > limit:
        raise DataError(
            f"{rule} may have at most {limit} entries a step",
            received=array.shape,
            remedy=_AGAIN,
        )


def dimensions(arrays: Mapping[str, StoredArray]) -> dict[str, int]:
    """Returns points, state_dim and action_dim of those of the required arrays that there are."""
    names = {"points": "point_cloud", "state_dim": "state", "action_dim": "action"}
    return {dim: int(arrays[name].array.shape[1]) for dim, name in names.items() if name in arrays}


def read_meta(
    root: Path, zarr_format: Literal[2, 3], name: str, episodes: int | None, rows: int
) -> np.ndarray:
    """Reads ``meta/<name>``: the committed entries of ours, else all.

    Raises:
        DataError: it is missing, malformed or damaged, or has too few entries or too many.
    """
    stored = StoredArray.open(root, f"meta/{name}", zarr_format)
    array, kind = stored.array, np.dtype(META_DTYPES[name]).kind
    if array.ndim != 1 or array.dtype.kind not in ("iu" if kind == "i" else kind):
        raise DataError(
            f"'meta/{name}' of {root} must be one-dimensional {META_DTYPES[name]}",
            received=f"{array.dtype} {array.shape}",
            remedy=_AGAIN,
        )
    count = len(stored) if episodes is None else episodes
    if count > rows or len(stored) < count:
        raise DataError(
            f"'meta/{name}' of {root} must have one entry an episode, and an episode a step",
            received=f"{len(stored)} entries, {rows} steps",
            remedy=_AGAIN,
        )
    if count > MAX_EPISODES:
        raise DataError(
            f"a dataset may have at most {MAX_EPISODES} episodes",
            received=f"{count} in {root}",
            remedy="split it",
        )
    stored.check_chunks(count)
    return stored.read(0, count).astype(META_DTYPES[name])


def _check_ends(root: Path, ends: np.ndarray, rows: int) -> None:
    falls = ends <= np.concatenate([[0], ends[:-1]])  # a difference could overflow
    if falls.any():
        episode = int(np.argmax(falls))
        raise DataError(
            f"episode_ends must increase from episode to episode, not so in {root}",
            received=f"episode {episode} ends at step {ends[episode]} "
            f"after {ends[episode - 1] if episode else 0}",
            remedy=_AGAIN,
        )
    if len(ends) and ends[-1] != rows:
        where = "beyond" if ends[-1] > rows else "before"
        raise DataError(
            f"episode_ends must end with the data, not {where} it, as in {root}",
            received=f"last end {ends[-1]}, {rows} steps",
            remedy=_AGAIN,
        )
