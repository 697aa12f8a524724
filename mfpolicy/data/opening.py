"""How a writer comes by its dataset: a new one, or one that it may continue."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from mfpolicy.data.inside import require_own_files
from mfpolicy.data.reader import Dataset, open_even_if_empty
from mfpolicy.data.schema import SCHEMA_NAME, SCHEMA_VERSION, DatasetSpec
from mfpolicy.errors import DataError


def create_empty(target: Path, spec: DatasetSpec) -> None:
    """Creates an empty dataset that is complete from the moment it exists."""
    import zarr

    from mfpolicy.data.durable import DurableStore

    draft = target.with_name(f".{target.name}.new")
    if draft.exists():
        shutil.rmtree(draft)
    notes = {
        "schema": SCHEMA_NAME,
        "schema_version": SCHEMA_VERSION,
        "episodes": 0,
        "steps": 0,
        **spec.to_dict(),
    }
    root = zarr.create_group(DurableStore(draft), zarr_format=3, attributes=notes)
    root.create_group("data")
    root.create_group("meta")
    draft.rename(target)


def open_matching(target: Path, spec: DatasetSpec) -> Dataset:
    """Opens the dataset at ``target`` if episodes of ``spec`` may be appended to it."""
    dataset = open_even_if_empty(target)
    require_own_files(target)
    if dataset.attributes.get("schema") != SCHEMA_NAME:
        raise DataError(
            "only datasets that mfpolicy wrote can be appended to",
            received=str(target),
            remedy="write to another path",
        )
    differences = dataset.spec.differences(spec)
    if differences:
        listed = "; ".join(
            f"{name}: {old!r} there, {new!r} now" for name, (old, new) in differences.items()
        )
        raise DataError(
            f"episodes of one dataset must be made alike. {target} differs in {listed}",
            remedy="write to another path, or repeat the dataset's own settings",
        )
    return dataclasses.replace(dataset, path=target)


def disk_error(target: Path, error: OSError) -> DataError:
    """What to tell the user when the disk refuses."""
    return DataError(
        f"the dataset could not be written: {error.strerror or error}",
        received=str(target),
        remedy="make room or mend the permissions, then repeat; finished episodes are kept",
    )
