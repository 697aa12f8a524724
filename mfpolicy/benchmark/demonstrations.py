"""The demonstrations of a cell: collected once, whoever comes first, and used by all."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mfpolicy.benchmark.record import Collected
from mfpolicy.data import Dataset, open_dataset
from mfpolicy.errors import DataError
from mfpolicy.evaluation.records import write_json
from mfpolicy.sweep.record import POLL_S, lock_or_none
from mfpolicy.training.data_description import describe_data

Collect = Callable[[str, Path, int], Any]
"""Collects demonstrations from seed 0 on, or goes on: (task, path, episodes); picklable."""


def provide(
    path: Path,
    task: str,
    episodes: int,
    collect: Collect,
    *,
    recipe: Mapping[str, Any] | None = None,
) -> Collected:
    """Makes the dataset unless it is there, waiting for another process that makes it.

    Args:
        path: of the dataset.
        task: that it shows.
        episodes: that it has.
        collect: makes it, or goes on with one that is not finished.
        recipe: how its clouds are made; None: anyhow. A dataset that does not say is taken.

    Raises:
        DataError: what is there is another dataset, or the expert fails too often.
    """
    if (there := _complete(path, task, episodes, recipe)) is not None:
        return there  # without the lock: what is complete may lie where nobody can write
    while (lock := lock_or_none(path.with_name(f"{path.name}.making"))) is None:
        time.sleep(POLL_S)
    try:
        if (there := _complete(path, task, episodes, recipe)) is not None:
            return there
        started = time.monotonic()
        collect(task, path, episodes)
        write_json(_note(path), {"seconds": round(time.monotonic() - started, 1)})
        return read_collected(path)
    finally:
        lock.release()


def read_collected(path: Path) -> Collected:
    """What a record says of a dataset.

    Raises:
        DataError: there is no dataset, or it is damaged.
    """
    return _collected(path, open_dataset(path))


def digest_of(path: Path, episodes: int) -> str | None:
    """Which demonstrations a dataset holds, None where not so many are there (yet)."""
    try:
        return _digest_at(path, episodes, (path / "zarr.json").stat().st_mtime_ns)
    except (DataError, OSError):
        return None


@functools.lru_cache(maxsize=512)
def _digest_at(path: Path, episodes: int, _changed_ns: int) -> str | None:
    """Kept, as every method and seed asks; whatever is committed changes the time."""
    dataset = open_dataset(path)
    return _digest(dataset) if dataset.episode_count == episodes else None


def _digest(dataset: Dataset) -> str:
    said = json.dumps(describe_data(dataset), sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _complete(
    path: Path, task: str, episodes: int, recipe: Mapping[str, Any] | None
) -> Collected | None:
    """What is there, None where there is nothing yet or a part of what was asked for."""
    try:
        dataset = open_dataset(path)
    except DataError:
        return None  # the collection goes on with what a killed one left, or says what is wrong
    first = dataset.journal.get("first_seed", 0)
    about = {"task": dataset.spec.task, "first seed": first}
    if dataset.spec.task not in (None, task) or first != 0:
        raise DataError(
            f"the demonstrations must be of {task}, from seed 0 on",
            received=f"{path}: {about}",
            remedy="choose another out= or data=",
        )
    if dataset.episode_count != episodes:
        return None
    if dataset.spec.recipe is not None and recipe is not None:
        _check_recipe(path, dataset.spec.recipe.to_dict(), recipe)
    return _collected(path, dataset)


def _check_recipe(path: Path, there: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuses clouds that are made in another way than those of the other cells."""
    keys = sorted(there.keys() | wanted.keys())
    other = [
        f"{key}: {there.get(key)} there, {wanted.get(key)} wanted"
        for key in keys
        if there.get(key) != wanted.get(key)
    ]
    if other:
        raise DataError(
            "the clouds of the demonstrations must be made as those that would be collected",
            received=f"{path}: {'; '.join(other)}",
            remedy="choose another out= or data=, or remove the dataset to collect it anew; "
            "`mfpolicy data recompute` and `data resample` make clouds again",
        )


def _collected(path: Path, dataset: Dataset) -> Collected:
    note = _note(path)
    return Collected(
        episodes=dataset.episode_count,
        steps=dataset.step_count,
        attempts=dataset.episode_count + len(dataset.journal.get("failed_seeds", ())),
        seconds=json.loads(note.read_text())["seconds"] if note.is_file() else None,
        seeds=() if dataset.seeds is None else tuple(dataset.seeds.tolist()),
        digest=_digest(dataset),
    )


def _note(path: Path) -> Path:
    """Where it says how long the collection took."""
    return path.with_name(f"{path.name}.seconds.json")
