"""Validation of a dataset's structure: everything that can be said without reading its steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mfpolicy.data.schema import (
    META_DTYPES,
    REQUIRED_ARRAYS,
    SCHEMA_NAME,
    SCHEMA_VERSION,
    DatasetSpec,
)
from mfpolicy.data.stored_array import METADATA_FILES, StoredArray, read_json
from mfpolicy.errors import DataError

MAX_POINTS = 2**20
MAX_WIDTH = 2**16
"""Largest state and action dimension; more is taken for damage or malice."""

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
    zarr_format, attributes = _read_root(root)
    ours = attributes.get("schema") == SCHEMA_NAME
    episodes, steps = _committed(root, attributes) if ours else (None, None)
    if episodes == 0:
        empty = {name: np.zeros(0, dtype) for name, dtype in META_DTYPES.items()}
        spec = _spec(root, attributes, attributes)
        return Structure(root, zarr_format, attributes, {}, empty, spec)

    arrays = _open_arrays(root, zarr_format, ours=ours)
    rows = _check_lengths(root, arrays, steps)
    dims = _check_shapes(root, arrays, ours=ours)
    for name, stored in arrays.items():
        stored.check_chunks(rows, missing_ok=not ours and name != "point_cloud")
    meta = {
        name: _read_meta(root, zarr_format, name, episodes, rows)
        for name in (META_DTYPES if ours else ("episode_ends",))
    }
    _check_ends(root, meta["episode_ends"], rows)
    spec = _spec(root, attributes if ours else {}, dims)
    for name, size in dims.items():
        if getattr(spec, name) != size:
            raise DataError(
                f"{root} says {name} {getattr(spec, name)}, but stores {size}", remedy=_AGAIN
            )
    return Structure(root, zarr_format, attributes, arrays, meta, spec)


def _read_root(root: Path) -> tuple[Literal[2, 3], dict[str, Any]]:
    """Returns the zarr format and the root attributes."""
    if not root.exists():
        raise DataError(
            "a dataset must exist at the path",
            received=str(root),
            remedy="check the path, or collect the dataset first",
        )
    if (root / "zarr.json").is_file():
        return 3, _group_attributes(root)
    if (root / ".zgroup").is_file():
        has_attributes = (root / ".zattrs").is_file()
        return 2, read_json(root, root / ".zattrs") if has_attributes else {}
    raise DataError(
        "a dataset must be a folder with a zarr group",
        received=str(root),
        remedy="pass the folder that 'mfpolicy collect' wrote, or a DP3 dataset",
    )


def _group_attributes(root: Path) -> dict[str, Any]:
    group = read_json(root, root / "zarr.json")
    attributes = group.get("attributes", {})
    if group.get("zarr_format") != 3 or not isinstance(attributes, dict):
        raise DataError(
            "zarr.json of a dataset must describe a zarr 3 group", received=str(root), remedy=_AGAIN
        )
    return attributes


def _committed(root: Path, attributes: dict[str, Any]) -> tuple[int, int]:
    """Returns the numbers of episodes and steps that are finished, of a dataset of ours."""
    version = attributes.get("schema_version")
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise DataError(
            f"this version reads datasets up to schema version {SCHEMA_VERSION}",
            received=f"{version!r} in {root}",
            remedy="upgrade mfpolicy",
        )
    counts = attributes.get("episodes"), attributes.get("steps")
    for count in counts:
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise DataError(
                f"episodes and steps of {root} must be counts", received=counts, remedy=_AGAIN
            )
    if not isinstance(attributes.get("journal", {}), dict):
        raise DataError(f"the journal of {root} must be a JSON object", remedy=_AGAIN)
    return counts  # pyright: ignore[reportReturnType]


def _open_arrays(root: Path, zarr_format: Literal[2, 3], *, ours: bool) -> dict[str, StoredArray]:
    for name in REQUIRED_ARRAYS:
        if not (root / "data" / name).is_dir():
            raise DataError(
                f"a dataset must have the array 'data/{name}'", received=str(root), remedy=_AGAIN
            )
    arrays = {}
    for folder in sorted((root / "data").iterdir()):
        if not (folder / METADATA_FILES[zarr_format]).is_file() and folder.name not in (
            REQUIRED_ARRAYS
        ):
            continue
        stored = StoredArray.open(root, f"data/{folder.name}", zarr_format)
        # Foreign datasets may carry texts beside the steps; we have no use for them.
        if ours or folder.name in REQUIRED_ARRAYS or stored.array.dtype.kind in "fiub":
            arrays[folder.name] = stored
    return arrays


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


def _check_shapes(root: Path, arrays: dict[str, StoredArray], *, ours: bool) -> dict[str, int]:
    """Returns points, state_dim and action_dim."""
    expected = {"point_cloud": ("(N, P, 3)", 3), "state": ("(N, S)", 2), "action": ("(N, A)", 2)}
    for name, (shape, ndim) in expected.items():
        array = arrays[name].array
        channels = () if name != "point_cloud" else (3,) if ours else (3, 6)
        limit = MAX_WIDTH if ndim == 2 else MAX_POINTS
        if array.ndim != ndim or (channels and array.shape[2] not in channels):
            raise DataError(
                f"'data/{name}' of {root} must have shape {shape}",
                received=array.shape,
                remedy=_AGAIN,
            )
        if array.dtype.kind != "f":
            raise DataError(
                f"'data/{name}' of {root} must be float32", received=str(array.dtype), remedy=_AGAIN
            )
        if array.shape[1] > limit:
            raise DataError(
                f"'data/{name}' of {root} may have at most {limit} entries a step",
                received=array.shape,
                remedy=_AGAIN,
            )
    return {
        "points": arrays["point_cloud"].array.shape[1],
        "state_dim": arrays["state"].array.shape[1],
        "action_dim": arrays["action"].array.shape[1],
    }


def _read_meta(
    root: Path, zarr_format: Literal[2, 3], name: str, episodes: int | None, rows: int
) -> np.ndarray:
    """Reads ``meta/<name>``: the committed entries of ours, else all."""
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
    stored.check_chunks(count)
    return stored.read(0, count).astype(META_DTYPES[name])


def _check_ends(root: Path, ends: np.ndarray, rows: int) -> None:
    lengths = np.diff(ends, prepend=0)
    if len(ends) and lengths.min() < 1:
        episode = int(np.argmax(lengths < 1))
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


def _spec(root: Path, attributes: dict[str, Any], dims: dict[str, Any]) -> DatasetSpec:
    try:
        sizes = {name: dims[name] for name in ("state_dim", "action_dim", "points")}
        return DatasetSpec.from_dict({**sizes, **attributes})
    except (DataError, KeyError, TypeError) as error:
        raise DataError(
            f"the attributes of {root} do not describe a dataset: {error}", remedy=_AGAIN
        ) from error
