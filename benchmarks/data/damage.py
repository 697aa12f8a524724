"""Kinds of damage to a dataset, each done to a copy on the disk, with what a check must say of it.

Damage to values goes through zarr, as a faulty program would do it; damage to files is done to
bytes. The dataset must have three episodes or more of at least twenty steps, colors, a recipe, and
a camera.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr


@dataclasses.dataclass(frozen=True)
class Damage:
    """One kind of damage.

    Attributes:
        name: in words. code: the finding it must lead to, and no other.
        array: path that must be named. episode, step: place that must be named; None for any.
        do: what is done to the dataset at a path.
        readable: whether the normal reader still opens the dataset.
    """

    name: str
    code: str
    array: str | None
    episode: int | None
    step: int | None
    do: Callable[[Path], None]
    readable: bool = True


DAMAGES: list[Damage] = []


def damage(
    name: str,
    code: str,
    array: str | None = None,
    episode: int | None = None,
    step: int | None = None,
    *,
    readable: bool = True,
) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Registers what follows as a kind of damage; the arguments are those of `Damage`."""

    def add(do: Callable[[Path], None]) -> Callable[[Path], None]:
        DAMAGES.append(Damage(name, code, array, episode, step, do, readable))
        return do

    return add


def starts(path: Path) -> list[int]:
    """The first row of each episode, and the end of the last."""
    return [0, *zarr.open_array(str(path), path="meta/episode_ends", mode="r")[:].tolist()]


def array_of(path: Path, name: str) -> Any:
    """An array of the dataset, to be written to."""
    return zarr.open_array(str(path), path=name, mode="r+")


def change_values(path: Path, name: str, change: Callable[[np.ndarray], Any]) -> None:
    """Changes all committed rows of an array in memory and writes them back."""
    array = array_of(path, name)
    values = array[:]
    changed = change(values)
    array[:] = values if changed is None else changed


def edit_json(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes the JSON object in a file."""
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def set_attributes(path: Path, **values: Any) -> None:
    """Overwrites attributes of the dataset."""
    edit_json(path / "zarr.json", lambda content: content["attributes"].update(values))


def add_array(path: Path, name: str, values: np.ndarray) -> None:
    """Adds an array of one row a step."""
    array = zarr.create_array(
        str(path), name=f"data/{name}", shape=values.shape, dtype=values.dtype,
        chunks=(100, *values.shape[1:]), config={"write_empty_chunks": True},
    )  # fmt: skip
    array[:] = values


def chunk_file(path: Path, name: str, index: int = 1) -> Path:
    """The file of a chunk; the second one holds steps 100 to 199."""
    folder = path / name / "c" / str(index)
    while folder.is_dir():
        folder = folder / "0"
    return folder
