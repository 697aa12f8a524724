"""The structure of a dataset: what can be said without decoding its steps, and never in vain.

The reader refuses a dataset at the first fault. Here each fault is told, and what is sound is kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mfpolicy.data.checking.ends import EMPTY, usable_ends
from mfpolicy.data.checking.findings import Code, FindingLog, code
from mfpolicy.data.checking.notes import read_notes
from mfpolicy.data.checking.survey import Survey
from mfpolicy.data.root_notes import committed_counts, read_root
from mfpolicy.data.schema import META_DTYPES, REQUIRED_ARRAYS, SCHEMA_NAME
from mfpolicy.data.stored_array import METADATA_FILES
from mfpolicy.data.structure import (
    ARRAY_NAME,
    MAX_ARRAYS,
    array_names,
    check_shape,
    open_step_array,
    optional_arrays,
    read_meta,
)
from mfpolicy.errors import DataError

_AGAIN = "restore it from a copy, or collect or convert the dataset again"

ROOT = code("root-unreadable", "error", "the metadata of a dataset can be read", _AGAIN, "rebuild")
VERSION = code(
    "schema-unknown", "error", "a dataset says a known schema version and how much is finished",
    "upgrade mfpolicy if a newer version wrote it, else repair it into a new dataset", "rebuild",
)  # fmt: skip
LAYOUT = code(
    "layout-unsafe", "error", "the arrays of a dataset have plain names, and there are few of them",
    "rename or remove the folders that are none of ours", "rebuild",
)  # fmt: skip
MISSING = code("array-missing", "error", "every array that training reads is there", _AGAIN)
UNREADABLE = code(
    "array-unreadable", "error", "an array says its shape, type and codecs, and all can be used",
    _AGAIN, "drop array",
)  # fmt: skip
SHAPE = code(
    "array-shape", "error", "an array has the shape and type of the schema", _AGAIN, "drop array"
)
LENGTH = code("array-length", "error", "all arrays are equally long", _AGAIN, "drop array")
META = code(
    "meta-unreadable", "error", "the arrays that describe the episodes can be read",
    "restore them from a copy, or repair the dataset into a new one", "rebuild",
)  # fmt: skip
CHUNK_MISSING = code("chunk-missing", "error", "a file lies behind every chunk", _AGAIN)
CHUNK_SIZE = code("chunk-truncated", "error", "a chunk file has the size that it says", _AGAIN)
FOREIGN = code(
    "link-or-device", "error", "a dataset holds regular files only, so that none leads out of it",
    "copy the dataset with its links resolved (cp -rL) if you trust where they point",
)  # fmt: skip

_CHUNK_CODES = {"missing": CHUNK_MISSING, "size": CHUNK_SIZE, "foreign": FOREIGN}
_MOST_FAULTS = 10_000
"""Damaged chunks of an array after which the rest of it is not looked at."""


def survey(root: Path, log: FindingLog) -> Survey:
    """Reads the structure of the dataset at ``root`` and tells the log what is wrong with it.

    Raises:
        DataError: there is no dataset at all.
    """
    found = _open_root(root, log)
    episodes, steps = None, None
    if found.ours and found.attributes:
        try:
            episodes, steps = committed_counts(root, found.attributes)
        except DataError as error:
            log.add(VERSION, said(error))
    if episodes == 0:
        log.add(EMPTY, f"{steps} steps in no episode")
        read_notes(found, log)
        return found
    _open_arrays(found, log)
    _set_rows(found, steps, log)
    _find_faults(found, log)
    for name in META_DTYPES if found.ours else ("episode_ends",):
        _read_meta(found, name, episodes, log)
    found.ends = usable_ends(found.meta, found.rows, log)
    _tell_faults(found, log)
    read_notes(found, log)
    return found


def _read_meta(found: Survey, name: str, episodes: int | None, log: FindingLog) -> None:
    """Reads an array of the episodes; where it has not as many entries as said, all it has."""
    told = False
    for count in (episodes, None):
        try:
            found.meta[name] = read_meta(found.root, found.zarr_format, name, count, 1 << 48)
            return
        except (DataError, OSError) as error:
            if not told:
                log.add(META, said(error), array=f"meta/{name}")
            told = True


def said(error: Exception) -> str:
    """What an error says was received, or all of it."""
    received = getattr(error, "received", "")
    rule = getattr(error, "rule", str(error))
    return f"{rule}: {received}" if received else rule


def _open_root(root: Path, log: FindingLog) -> Survey:
    try:
        zarr_format, attributes = read_root(root)
        return Survey(root, zarr_format, attributes.get("schema") == SCHEMA_NAME, attributes)
    except DataError as error:
        data = root / "data"
        if not data.is_dir() or data.is_symlink():
            raise
        guess: Literal[2, 3] = 2 if (data / "state/.zarray").is_file() else 3
        log.add(ROOT, said(error))
        ours = guess == 3 and (root / "meta/episode_seed").is_dir()
        return Survey(root, guess, ours, {})


def _open_arrays(found: Survey, log: FindingLog) -> None:
    try:
        names = array_names(found.root, found.zarr_format)
    except DataError as error:
        outside = (found.root / "data").is_symlink()
        log.add(FOREIGN if outside else LAYOUT, said(error), array="data" if outside else None)
        if outside:
            return
        names = _well_named(found)
    for name in names:
        folder = found.root / "data" / name
        try:
            stored = open_step_array(found.root, name, found.zarr_format, ours=found.ours)
        except DataError as error:
            log.add(_reason(folder, found.zarr_format), said(error), array=f"data/{name}")
            continue
        try:
            if stored is not None:
                check_shape(stored, ours=found.ours)
                found.arrays[name] = stored
        except DataError as error:
            log.add(SHAPE, said(error), array=f"data/{name}")


def _well_named(found: Survey) -> list[str]:
    """The arrays that are needed, and as many of the others as there may be."""
    others = []
    if (found.root / "data").is_dir():
        others = [n for n in optional_arrays(found.root, found.zarr_format) if ARRAY_NAME.match(n)]
    return [*REQUIRED_ARRAYS, *others][:MAX_ARRAYS]


def _reason(folder: Path, zarr_format: Literal[2, 3]) -> Code:
    """Why the array in ``folder`` could not be opened."""
    metadata = folder / METADATA_FILES[zarr_format]
    if folder.is_symlink() or metadata.is_symlink():
        return FOREIGN
    if not metadata.exists():
        return MISSING
    return UNREADABLE if metadata.is_file() else FOREIGN


def _set_rows(found: Survey, steps: int | None, log: FindingLog) -> None:
    """Sets N, and leaves out the arrays that are shorter."""
    lengths = {name: len(stored) for name, stored in found.arrays.items()}
    if not lengths:
        return
    values = sorted(lengths.values())
    most = max(values, key=values.count)
    if steps is not None and steps > values[-1]:
        log.add(VERSION, f"{steps} steps are finished, but the arrays have {values[-1]}")
        steps = None
    exact = steps is None
    found.rows = most if steps is None else steps
    for name, length in lengths.items():
        if length < found.rows or (exact and length != found.rows):
            log.add(LENGTH, f"{length} steps, {found.rows} needed", array=f"data/{name}")
            del found.arrays[name]


def _find_faults(found: Survey, log: FindingLog) -> None:
    for name, stored in list(found.arrays.items()):
        missing_ok = not found.ours and name != "point_cloud"
        faults = found.faults.setdefault(name, [])
        try:
            for fault in stored.chunk_faults(found.rows):
                if not (fault.kind == "missing" and missing_ok):
                    faults.append(fault)
                if len(faults) > _MOST_FAULTS:
                    found.rows = min(found.rows, fault.row)
                    break
        except DataError as error:
            log.add(UNREADABLE, said(error), array=f"data/{name}")
            del found.arrays[name]


def _tell_faults(found: Survey, log: FindingLog) -> None:
    for name, faults in found.faults.items():
        if name not in found.arrays:
            continue
        size = found.arrays[name].rows_per_chunk
        for fault in faults:
            episode, step = found.place(fault.row)
            stop = min(found.rows, fault.row + size)
            if episode is None:  # behind the last episode, of which the ends tell
                continue
            log.add(
                _CHUNK_CODES[fault.kind],
                f"chunk {fault.row // size}, steps {fault.row} to {stop - 1} of the dataset: "
                f"{fault.why}",
                array=f"data/{name}",
                episode=episode,
                step=step,
                steps=stop - fault.row,
                spoils=found.touched(fault.row, stop),
            )
