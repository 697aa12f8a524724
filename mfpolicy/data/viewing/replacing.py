"""A file that appears when it is complete."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mfpolicy.data.durable import PARTIAL_SUFFIX
from mfpolicy.errors import DataError


@contextlib.contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """Gives the path of a draft, and puts it in the place of ``target`` when all went well.

    Raises:
        DataError: the disk refuses.
    """
    draft = target.with_name(target.name + PARTIAL_SUFFIX)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.touch()
        yield draft
        draft.replace(target)
    except OSError as error:
        raise DataError(
            f"the file could not be written: {error.strerror or error}",
            received=str(target),
            remedy="make room, mend the permissions, or choose another path",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
