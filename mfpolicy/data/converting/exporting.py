"""A dataset of ours in the format of another project: what a format supplies, and the loop.

The result is made beside its path, under a hidden name, and takes its path when it is complete; so
whatever lies there is whole. An interrupted call leaves the draft, and the same call goes on.
"""

from __future__ import annotations

import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mfpolicy.data.apart import require_apart
from mfpolicy.data.converting.convert import KEEP, ConvertReport
from mfpolicy.data.episode import Episode
from mfpolicy.data.fingerprint import fingerprint
from mfpolicy.data.opening import disk_error
from mfpolicy.data.reader import Dataset, open_dataset
from mfpolicy.errors import ConfigError, DataError
from mfpolicy.registry import Registry


@dataclass(frozen=True)
class Order:
    """What is to be written.

    Attributes:
        dataset: the source.
        points: points per cloud, at most those of the source.
        store_extras: also write colors, images and whatever else there is.
    """

    dataset: Dataset
    points: int
    store_extras: bool


class Export(ABC):
    """One dataset under way into another format; one episode at a time is in memory.

    Subclasses take ``(draft, order)``: a folder that holds what earlier calls finished.

    Attributes:
        note_file: file of the format that may hold notes of ours, as JSON.
        done: episodes that are safe in the draft.
    """

    note_file: ClassVar[str]
    done: int

    @abstractmethod
    def __init__(self, draft: Path, order: Order) -> None: ...

    @classmethod
    def notes(cls, order: Order) -> dict[str, Any]:
        """What the format's own files cannot say."""
        return {}

    @abstractmethod
    def append(self, episode: Episode) -> None:
        """Writes an episode behind the others; it is safe when ``done`` counts it."""

    @abstractmethod
    def finish(self) -> None:
        """Makes the draft complete; nothing is appended after that."""

    def close(self) -> None:  # noqa: B027
        """Frees what is open; the draft stays."""


EXPORTS: Registry[Export] = Registry("format to write")
"""Every format that ``mfpolicy data convert to=…`` writes."""


def export(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    to: str,
    keep: str = "success",
    points: int | None = None,
    store_extras: bool = True,
    progress: Callable[[int, int, int], None] | None = None,
) -> ConvertReport:
    """Writes the dataset ``source`` to ``out`` in the format ``to``.

    Args:
        source: a dataset of ours.
        out: path of the result; nothing may be there, or the same result.
        to: name in ``EXPORTS``.
        keep: ``success`` writes the episodes that are marked as a success, ``all`` writes all.
        points: points per cloud, a prefix of the stored ones; None takes all.
        store_extras: also write colors, images and whatever else there is.
        progress: called after each episode with how many are done, are there, and were written.

    Raises:
        ConfigError: a name is unknown.
        DataError: the source is damaged, no episode is to be written, ``out`` lies in the source,
            something else lies there, or the disk refuses.

    Example:
        >>> export("data/door.zarr", "adroit_door_expert.zarr", to="dp3")   # doctest: +SKIP
        ConvertReport(path=..., format='dp3', episodes=10, kept=10, ...)
    """
    from mfpolicy.data.durable import WriterLock

    started = time.monotonic()
    if keep not in KEEP:
        raise ConfigError(f"keep must be one of {', '.join(KEEP)}", received=keep)
    kind, dataset = EXPORTS.get(to), open_dataset(source)
    order = Order(dataset, _points(dataset, points), store_extras)
    wanted = _wanted(dataset, keep)
    target = Path(out).expanduser().resolve()
    require_apart([dataset.path], target)
    draft = target.with_name(f".{target.name}.unfinished")
    settings = {
        "to": to, "source": dataset.path.name, "sha256": fingerprint(dataset.path),
        "keep": keep, "points": order.points, "store_extras": store_extras,
    }  # fmt: skip
    try:
        lock = WriterLock(target)
        try:
            if not _is_there(target, kind, settings):
                _prepare(draft, kind, settings, kind.notes(order))
                _write(kind, draft, order, wanted, progress)
                draft.rename(target)
        finally:
            lock.release()
    except OSError as error:
        raise disk_error(target, error) from error
    ends = np.diff(dataset.episode_ends, prepend=0)[wanted]
    success = len(wanted) if dataset.success is None else int(dataset.success.sum())
    seconds = time.monotonic() - started
    return ConvertReport(
        target, to, dataset.episode_count, len(wanted), int(ends.sum()), success, seconds
    )


def _write(
    kind: type[Export],
    draft: Path,
    order: Order,
    wanted: np.ndarray,
    progress: Callable[[int, int, int], None] | None,
) -> None:
    writing = kind(draft, order)
    try:
        for position in range(writing.done, len(wanted)):
            writing.append(order.dataset.episode(int(wanted[position])))
            if progress is not None:
                progress(position + 1, len(wanted), position + 1)
        writing.finish()
    finally:
        writing.close()


def _points(dataset: Dataset, points: int | None) -> int:
    if points is not None and not 1 <= points <= dataset.spec.points:
        raise DataError(
            f"clouds of {dataset.spec.points} points can be written with as many or fewer",
            received=points,
        )
    if points is not None and dataset.spec.recipe is not None:
        dataset.spec.recipe.check_points(points)
    return points or dataset.spec.points


def _wanted(dataset: Dataset, keep: str) -> np.ndarray:
    """Numbers of the episodes that are written."""
    everything = np.arange(dataset.episode_count)
    wanted = everything if keep == "all" or dataset.success is None else everything[dataset.success]
    if len(wanted) == 0:
        raise DataError(
            f"a dataset must have at least one episode, but none of {dataset.episode_count} counts "
            "as a success",
            received=str(dataset.path),
            remedy="keep=all writes them",
        )
    return wanted


def _is_there(target: Path, kind: type[Export], settings: dict[str, Any]) -> bool:
    """Whether the finished result lies at ``target``; something else there is refused."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    if read_notes(target / kind.note_file).get("settings") != settings:
        raise DataError(
            "what is written needs a path of its own",
            received=str(target),
            remedy="remove what is there, or write to another path",
        )
    return True


def _prepare(
    draft: Path, kind: type[Export], settings: dict[str, Any], notes: dict[str, Any]
) -> None:
    from mfpolicy.data.durable import remove_partial_files, write_durably

    file = draft / kind.note_file
    if not file.is_file():
        content = {"mfpolicy": {"settings": settings, **notes}}
        write_durably(file, json.dumps(content, indent=2, allow_nan=False).encode())
    there = read_notes(file).get("settings")
    if there != settings:
        raise DataError(
            f"an unfinished result can only be continued as it began, {there}",
            received=settings,
            remedy=f"repeat those settings, or remove {draft}",
        )
    remove_partial_files(draft)


def read_notes(file: Path) -> dict[str, Any]:
    """Notes of ours in a file of another format; empty where there are none that can be read."""
    try:
        notes = json.loads(file.read_text(encoding="utf-8"))["mfpolicy"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return notes if isinstance(notes, dict) else {}
