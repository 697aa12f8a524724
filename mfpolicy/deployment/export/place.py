"""Where an export goes: nothing there, or the whole export, whenever the writer is stopped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mfpolicy.errors import RunError
from mfpolicy.policy.tensor_file import flush_to_disk

STAGING = ".exporting-"
"""Start of the name of the folder beside an export in which it is written."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a path to write a file or a folder to, which becomes ``path`` when it is left.

    If it is left by an exception, ``path`` is not there.

    Raises:
        RunError: the disk is full, the folder cannot be written, or ``path`` appeared meanwhile.
    """
    staging = path.parent / f"{STAGING}{path.name}"
    try:
        shutil.rmtree(staging, ignore_errors=True)  # of a writer that was killed
        staging.mkdir(parents=True)
        yield staging / path.name
        _flush(staging / path.name)
        if os.path.lexists(path):
            raise FileExistsError(f"{path} appeared meanwhile")
        (staging / path.name).rename(path)
        flush_to_disk(path.parent)
    except OSError as error:
        raise RunError(
            f"{path} must be written whole; nothing of it is kept",
            received=str(error),
            remedy="free disk space, or choose another out=",
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _flush(path: Path) -> None:
    for file in sorted(path.rglob("*")) if path.is_dir() else []:
        flush_to_disk(file)
    flush_to_disk(path)
