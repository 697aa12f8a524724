"""What the root of a dataset says: format, how much of it is finished, specification."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from mfpolicy.data.inside import plain, read_json
from mfpolicy.data.schema import SCHEMA_VERSION, DatasetSpec
from mfpolicy.errors import DataError

_AGAIN = "collect or convert the dataset again"


def read_root(root: Path) -> tuple[Literal[2, 3], dict[str, Any]]:
    """Returns the zarr format and the root attributes.

    Raises:
        DataError: there is no dataset, or its attributes cannot be read.
    """
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


def committed_counts(root: Path, attributes: dict[str, Any]) -> tuple[int, int]:
    """Returns the numbers of episodes and steps that are finished, of a dataset of ours.

    Raises:
        DataError: a newer version wrote it, or these are no counts.
    """
    version = attributes.get("schema_version")
    if isinstance(version, bool) or not isinstance(version, int) or version > SCHEMA_VERSION:
        raise DataError(
            f"this version reads datasets up to schema version {SCHEMA_VERSION}",
            received=f"{plain(version)} in {root}",
            remedy="upgrade mfpolicy",
        )
    counts = attributes.get("episodes"), attributes.get("steps")
    for count in counts:
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 1 << 62:
            raise DataError(
                f"episodes and steps of {root} must be counts",
                received=plain(counts),
                remedy=_AGAIN,
            )
    return counts  # pyright: ignore[reportReturnType]


def read_spec(root: Path, attributes: dict[str, Any], dims: dict[str, Any]) -> DatasetSpec:
    """Returns what the attributes say of the dataset, with ``dims`` where they say nothing.

    Raises:
        DataError: a note has the wrong type or cannot be.
    """
    try:
        sizes = {name: dims[name] for name in ("state_dim", "action_dim", "points")}
        return DatasetSpec.from_dict({**sizes, **attributes})
    except (DataError, KeyError, TypeError, OverflowError) as error:
        raise DataError(
            f"the attributes of {root} do not describe a dataset: {plain(error)}", remedy=_AGAIN
        ) from error
