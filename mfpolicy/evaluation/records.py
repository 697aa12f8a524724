"""The record of an evaluation on disk: settings.json and one line per finished episode.

A line is written whole and synchronized to disk before the next episode counts, so that whatever
ends the evaluation, the finished episodes stay and the next call runs the missing ones.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from mfpolicy.errors import RunError
from mfpolicy.types import EpisodeResult

EPISODES, SETTINGS, SUMMARY = "episodes.jsonl", "settings.json", "summary.json"


class EpisodeLog:
    """The episodes of one evaluation folder; open it with :func:`open_log`.

    Attributes:
        folder: the evaluation's folder.
        results: finished episodes by seed.
    """

    def __init__(self, folder: Path, file: Any) -> None:
        self.folder = folder
        self._file = file
        self.results = {result.seed: result for result in _read_lines(folder / EPISODES, file)}

    def append(self, result: EpisodeResult) -> None:
        """Adds a finished episode; on return it is on disk.

        Raises:
            RunError: the disk did not take it.
        """
        line = json.dumps(asdict(result)).encode() + b"\n"
        try:
            written = self._file.write(line)
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._not_written(str(error)) from error
        if written < len(line):
            raise self._not_written(f"{written} of {len(line)} bytes")
        self.results[result.seed] = result

    def _not_written(self, received: str) -> RunError:
        return RunError(
            f"the record of an episode must be written to {self.folder / EPISODES}",
            received=received,
            remedy="free disk space, then run the same command again to go on",
        )


@contextmanager
def open_log(folder: Path, settings: dict[str, Any]) -> Iterator[EpisodeLog]:
    """Opens the record in ``folder`` for writing, made or resumed.

    Args:
        folder: the evaluation's folder.
        settings: what decides an episode's outcome; a resumed record must have the same.

    Raises:
        RunError: the folder holds an evaluation with other settings, or a damaged one, or
            another process is writing to it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / EPISODES).open("a+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(
                "an evaluation folder has one writer at a time",
                received=str(folder),
                remedy="wait for the other evaluation to end, or pass another name",
            ) from None
        _claim(folder, settings)
        yield EpisodeLog(folder, file)


def read_log(folder: Path) -> dict[int, EpisodeResult]:
    """Reads the finished episodes of an evaluation folder by seed.

    Raises:
        RunError: the folder has no episodes file, or a line of it is damaged.
    """
    path = folder / EPISODES
    if not path.is_file():
        raise RunError(
            f"an evaluation folder must hold {EPISODES}",
            received=str(folder),
            remedy="run `mfpolicy eval` to make it",
        )
    with path.open("rb") as file:
        return {result.seed: result for result in _parse(path, file.read())}


def differing_settings(folder: Path, settings: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Returns name → (recorded, wanted) of the settings in which ``folder`` differs.

    A folder without settings differs in nothing: it is new, or its writer never began.
    """
    path = folder / SETTINGS
    if not path.is_file():
        return {}
    recorded = json.loads(path.read_text())
    wanted = json.loads(json.dumps(settings))
    keys = sorted(recorded.keys() | wanted.keys())
    return {
        key: (recorded.get(key), wanted.get(key))
        for key in keys
        if recorded.get(key) != wanted.get(key)
    }


def fresh_name(evaluations: Path, base: str, settings: dict[str, Any]) -> str:
    """Returns ``base``, or ``base-2``, …: the first that is new or has the same settings."""
    name, count = base, 1
    while differing_settings(evaluations / name, settings):
        count += 1
        name = f"{base}-{count}"
    return name


def write_json(path: Path, content: Any) -> None:
    """Writes JSON such that a reader sees the old file or the new one, never a part."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes text such that a reader sees the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _claim(folder: Path, settings: dict[str, Any]) -> None:
    differences = differing_settings(folder, settings)
    if differences:
        listed = "; ".join(
            f"{key}: {a!r} recorded, {b!r} wanted" for key, (a, b) in differences.items()
        )
        raise RunError(
            f"evaluation '{folder.name}' must be continued with its own settings",
            received=listed,
            remedy="pass another name, or leave name out for a fresh folder",
        )
    if not (folder / SETTINGS).is_file():
        write_json(folder / SETTINGS, settings)


def _read_lines(path: Path, file: Any) -> list[EpisodeResult]:
    """Reads the whole lines, and cuts off what a killed writer left of a last one."""
    file.seek(0)
    content: bytes = file.read()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        file.truncate(len(whole))
    return _parse(path, whole)


def _parse(path: Path, content: bytes) -> list[EpisodeResult]:
    names = {field.name for field in fields(EpisodeResult)}
    results = []
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            record = json.loads(line)
            results.append(EpisodeResult(**{key: record[key] for key in record if key in names}))
        except (ValueError, TypeError) as error:
            raise RunError(
                f"every line of {path} must be an episode's record; line {number} is not",
                received=line[:80].decode(errors="replace"),
                remedy="delete the line, and evaluate again to replace its episode",
            ) from error
    return results
