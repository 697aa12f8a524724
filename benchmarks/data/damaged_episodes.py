"""Damage to episodes: copies, lengths, seeds, counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.data.damage import array_of, damage, set_attributes, starts


def _data(path: Path) -> list[str]:
    return sorted(f"data/{file.parent.name}" for file in (path / "data").glob("*/zarr.json"))


@damage("an episode stored twice", "episode-repeated", None, 2, 0)
def _twice(path: Path) -> None:
    """The third episode becomes a copy of the first, with a seed of its own."""
    _, one, two, end = starts(path)[:4]
    length = min(one, end - two)
    for name in _data(path):
        array = array_of(path, name)
        array[two : two + length] = array[:length]
        array.resize((two + length, *array.shape[1:]))
    ends = array_of(path, "meta/episode_ends")
    ends[0], ends[1], ends[2] = length, two, two + length
    if length < one:  # the first is cut to be as long as its copy
        for name in _data(path):
            array = array_of(path, name)
            values = np.concatenate([array[:length], array[one:]])
            array.resize(values.shape)
            array[:] = values
        ends[1], ends[2] = two - one + length, two - one + 2 * length
    for name in ("episode_ends", "episode_length", "episode_seed", "episode_success"):
        meta = array_of(path, f"meta/{name}")
        meta.resize((3,))
    array_of(path, "meta/episode_length")[:] = np.diff(ends[:3], prepend=0)
    set_attributes(path, episodes=3, steps=int(ends[2]))


@damage("a recording that stalls", "frames-repeated", None, 1, 5)
def _stalled(path: Path) -> None:
    row = starts(path)[1] + 4
    for name in _data(path):
        array = array_of(path, name)
        array[row + 1 : row + 9] = np.broadcast_to(array[row], (8, *array.shape[1:]))


@damage("a part written twice", "frames-copied", None, 0, 8)
def _copied(path: Path) -> None:
    for name in _data(path):
        array = array_of(path, name)
        array[8:14] = array[2:8]


@damage("an episode of two steps", "episode-short", None, 0, None)
def _short(path: Path) -> None:
    ends = starts(path)[1:]
    for name, dtype in (("ends", "i8"), ("seed", "i8"), ("success", "bool"), ("length", "i8")):
        array = array_of(path, f"meta/episode_{name}")
        values = array[:]
        first = {"ends": 2, "seed": 10**6, "success": True, "length": 2}[name]
        array.resize((len(values) + 1,))
        array[:] = np.concatenate([[first], values]).astype(dtype)
    array_of(path, "meta/episode_length")[:] = np.diff([0, 2, *ends])
    set_attributes(path, episodes=len(ends) + 1)


@damage("two episodes of one seed", "seed-repeated", "meta/episode_seed", 1, None)
def _seed(path: Path) -> None:
    seeds = array_of(path, "meta/episode_seed")
    seeds[1] = seeds[0]


# Episodes.


@damage("ends out of order", "ends-not-increasing", "meta/episode_ends", 1, None, readable=False)
def _order(path: Path) -> None:
    ends = array_of(path, "meta/episode_ends")
    ends[1] = ends[0]


@damage("an end behind the data", "ends-beyond-data", "meta/episode_ends", 2, None, readable=False)
def _beyond(path: Path) -> None:
    ends = array_of(path, "meta/episode_ends")
    ends[2] = ends[2] + 13


@damage("steps behind the last end", "ends-before-data", "meta/episode_ends", readable=False)
def _before(path: Path) -> None:
    set_attributes(path, episodes=2)
    set_attributes(path, steps=starts(path)[3])


@damage("lengths that contradict the ends", "length-mismatch", "meta/episode_length", 1, None)
def _length(path: Path) -> None:
    array_of(path, "meta/episode_length")[1] = 5


@damage("no finished episode", "no-episodes", readable=False)
def _none(path: Path) -> None:
    set_attributes(path, episodes=0, steps=0)
