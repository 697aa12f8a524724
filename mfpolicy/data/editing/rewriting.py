"""The loop of every edit: one episode after the other, continued where it was interrupted."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfpolicy.data.apart import require_apart
from mfpolicy.data.editing.provenance import edited_notes, source_notes
from mfpolicy.data.episode import Episode
from mfpolicy.data.fingerprint import fingerprint
from mfpolicy.data.reader import Dataset, open_dataset
from mfpolicy.data.schema import DatasetSpec
from mfpolicy.data.writer import DatasetWriter
from mfpolicy.errors import DataError

Progress = Callable[[int, int], None]
"""Called after each episode with how many are done and how many there will be."""


@dataclass(frozen=True)
class EditReport:
    """What an edit came to, earlier interrupted runs of it included.

    Attributes:
        path: the dataset. episodes, steps: in it.
        seconds: duration of this call.
        notes: what else there is to say, by name.
    """

    path: Path
    episodes: int
    steps: int
    seconds: float
    notes: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What becomes of which episode.

    Attributes:
        operation: name of the command. options: its options, JSON-able.
        sources: the datasets.
        picks: (index of the source, index of its episode), one for every episode to come.
        spec: of the dataset to come; its notes (``extra``) are made by the loop.
        change: the new episode, from the stored one and its pick.
    """

    operation: str
    options: dict[str, Any]
    sources: Sequence[Dataset]
    picks: Sequence[tuple[int, int]]
    spec: DatasetSpec
    change: Callable[[Episode, tuple[int, int]], Episode] = lambda episode, pick: episode


def open_source(path: str | os.PathLike[str]) -> Dataset:
    """Opens a dataset that shall be edited.

    Raises:
        DataError: it cannot be opened, or does not say seed and success of its episodes, as
            datasets of others do not.
    """
    dataset = open_dataset(path)
    if dataset.seeds is None or dataset.success is None or dataset.zarr_format != 3:
        raise DataError(
            "only datasets of mfpolicy can be edited",
            received=f"{path}, zarr format {dataset.zarr_format}",
            remedy="convert it first: mfpolicy data convert",
        )
    return dataset


def rewrite(
    plan: Plan, out: str | os.PathLike[str], progress: Progress | None = None
) -> EditReport:
    """Carries out ``plan``, writing the dataset ``out``.

    Each episode is committed at once with the place that was reached, so an interrupted call
    (Ctrl-C, kill, full disk) loses at most the episode under way, and the same call goes on from
    there to the same dataset. A finished one is left as it is.

    Raises:
        DataError: no episode is left, ``out`` is a source or lies in one, ``out`` exists and came
            of something else, a source is damaged, or the disk refuses.
    """
    started = time.monotonic()
    if not plan.picks:
        raise DataError(
            "a dataset must have at least one episode, but none is left",
            received=plan.options,
            remedy="choose other episodes",
        )
    require_apart([source.path for source in plan.sources], Path(out))
    prints = [fingerprint(source.path) for source in plan.sources]
    settings = _plain({"edit": plan.operation, "options": plan.options, "sources": prints})
    taken = [[e for s, e in plan.picks if s == index] for index in range(len(plan.sources))]
    notes = [
        source_notes(source, sha256, episodes)
        for source, sha256, episodes in zip(plan.sources, prints, taken, strict=True)
    ]
    extra = edited_notes(plan.sources, plan.operation, plan.options, notes)
    with DatasetWriter.open(out, dataclasses.replace(plan.spec, extra=_plain(extra))) as writer:
        _require_same_edit(writer, settings)
        for done in range(writer.episode_count, len(plan.picks)):
            pick = plan.picks[done]
            episode = plan.sources[pick[0]].episode(pick[1])
            writer.append(plan.change(episode, pick), journal=settings)
            if progress is not None:
                progress(done + 1, len(plan.picks))
        seconds = time.monotonic() - started
        return EditReport(writer.path, writer.episode_count, writer.step_count, seconds)


def _require_same_edit(writer: DatasetWriter, settings: dict[str, Any]) -> None:
    journal = writer.journal
    if not journal and writer.episode_count == 0:
        return
    if journal != settings:
        raise DataError(
            f"an edit can only be continued as it began, {_short(journal)} in {writer.path}",
            received=_short(settings),
            remedy="repeat that with the same sources, or write to another path",
        )


def _short(settings: dict[str, Any]) -> str:
    text = json.dumps(settings)
    return text if len(text) <= 400 else text[:400] + " …"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """As JSON gives it back, so that what is on record compares equal."""
    return json.loads(json.dumps(values))
