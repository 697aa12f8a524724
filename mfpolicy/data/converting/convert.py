"""The loop of a conversion: one episode after the other, continued where it was interrupted."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfpolicy.data.apart import require_apart
from mfpolicy.data.converting.base import FORMATS, Source, Target, guess_format
from mfpolicy.data.writer import DatasetWriter
from mfpolicy.errors import ConfigError, DataError

KEEP = ("success", "all")


@dataclass(frozen=True)
class ConvertReport:
    """What a conversion came to, earlier interrupted runs of it included.

    Attributes:
        path: the dataset. format: that was read. episodes: in the source.
        kept, steps: episodes and steps in the dataset.
        succeeded: episodes of the source that count as a success.
        seconds: duration of this call.
        notes: what else the format has to tell of this call, by name.
    """

    path: Path
    format: str
    episodes: int
    kept: int
    steps: int
    succeeded: int
    seconds: float
    notes: tuple[tuple[str, str], ...] = ()


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    target: Target,
    *,
    format: str = "auto",
    keep: str = "success",
    progress: Callable[[int, int, int], None] | None = None,
) -> ConvertReport:
    """Converts recordings of others to the dataset ``out``.

    One episode is in memory at a time. Each is committed at once with the place that was reached,
    so an interrupted call (Ctrl-C, kill, full disk) loses at most the episode under way, and the
    same call goes on from there to the same dataset.

    Args:
        source: file or folder of the recordings; nothing in it is executed.
        out: folder of the dataset; created, or continued.
        target: what the dataset shall be.
        format: name in ``FORMATS``; ``auto`` asks the content.
        keep: ``success`` keeps the episodes that count as a success, ``all`` keeps all and says of
            each which it was.
        progress: called after each episode with how many are done, are there, and were kept.

    Raises:
        ConfigError: a name is unknown, or the format needs a task.
        DataError: the source is damaged or of another format, the dataset exists and comes of
            something else or lies within the source, no episode was kept, or the disk refuses.

    Example:
        >>> convert("door_demos.pickle", "data/door.zarr", target)   # doctest: +SKIP
        ConvertReport(path=..., format='dapg', episodes=25, kept=8, ...)
    """
    started = time.monotonic()
    if keep not in KEEP:
        raise ConfigError(f"keep must be one of {', '.join(KEEP)}", received=keep)
    path = Path(source).expanduser()
    require_apart([path], Path(out))
    name = guess_format(path) if format == "auto" else format
    kind = FORMATS.get(name).layout_kind
    if target.layout is not None and (kind is None or not isinstance(target.layout, kind)):
        raise ConfigError(
            f"recordings of format {name} take {'no layout' if kind is None else kind.__name__}",
            received=type(target.layout).__name__,
        )
    opened = FORMATS.get(name)(path, target)
    try:
        settings = {"format": name, "sha256": opened.sha256, "keep": keep, "points": target.points}
        if target.layout is not None:
            settings["layout"] = json.loads(json.dumps(dataclasses.asdict(target.layout)))
        with DatasetWriter.open(out, opened.spec) as writer:
            done, succeeded = _reached(writer, settings)
            while done < opened.count:
                succeeded += _convert_one(opened, done, succeeded, settings, writer)
                done += 1
                if progress is not None:
                    progress(done, opened.count, writer.episode_count)
            if writer.episode_count == 0:
                raise DataError(
                    "a dataset must have at least one episode, but none of "
                    f"{opened.count} counts as a success",
                    received=str(path),
                    remedy="keep=all keeps them, to another path",
                )
            kept, steps = writer.episode_count, writer.step_count
            seconds = time.monotonic() - started
            return ConvertReport(
                writer.path, name, opened.count, kept, steps, succeeded, seconds,
                tuple(opened.summary()),
            )  # fmt: skip
    finally:
        opened.close()


def _convert_one(
    opened: Source, index: int, succeeded: int, settings: dict[str, Any], writer: DatasetWriter
) -> bool:
    """Converts and commits one episode; says whether it counts as a success."""
    episode = opened.episode(index)
    success = bool(episode.success)
    journal = {**settings, "done": index + 1, "succeeded": succeeded + success}
    if success or settings["keep"] == "all":
        writer.append(episode, journal=journal)
    else:
        writer.record(journal)
    return success


def _reached(writer: DatasetWriter, settings: dict[str, Any]) -> tuple[int, int]:
    """Episodes done, and successes among them, in earlier runs of this conversion."""
    journal = writer.journal
    if not journal and writer.episode_count == 0:
        return 0, 0
    there = {name: journal.get(name) for name in settings}
    counts = journal.get("done"), journal.get("succeeded")
    if there != settings or not all(isinstance(count, int) for count in counts):
        raise DataError(
            f"a conversion can only be continued as it began, {there} in {writer.path}",
            received=settings,
            remedy="repeat those settings, or convert to another path",
        )
    return counts  # pyright: ignore[reportReturnType]
