"""Files of a dataset: regular ones, inside its folder, reached through no link, of bounded size."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from mfpolicy.errors import DataError

MAX_JSON_BYTES = 8 << 20
MAX_JSON_DEPTH = 64
RESTORE = "restore the file from a copy, or collect the dataset again"


def require_folder(root: Path, relative: str, known: set[str] | None = None) -> None:
    """Requires that every part of ``relative`` below ``root`` is a folder and no link.

    The root itself may be a link: the user names it. What lies below it comes with the data, and
    a link there could name any file of the machine.

    Args:
        root: the dataset.
        relative: path below it, with ``/``.
        known: folders that were found sound; they are not asked again, new ones are added.

    Raises:
        FileNotFoundError: a part does not exist.
        DataError: a part is a link or no folder.
    """
    parts = relative.split("/") if relative else []
    for count in range(1, len(parts) + 1):
        part = "/".join(parts[:count])
        if known is not None and part in known:
            continue
        mode = os.lstat(root / part).st_mode
        if not stat.S_ISDIR(mode):
            raise _foreign(root, part, mode, "folder")
        if known is not None:
            known.add(part)


def regular_size(root: Path, relative: str, known: set[str] | None = None) -> int:
    """Returns the size in bytes of the regular file ``relative`` below ``root``.

    Raises:
        FileNotFoundError: there is none.
        DataError: it, or a folder on the way to it, is a link, a pipe or a device.
    """
    require_folder(root, relative.rpartition("/")[0], known)
    found = os.lstat(root / relative)
    if not stat.S_ISREG(found.st_mode):
        raise _foreign(root, relative, found.st_mode, "file")
    return found.st_size


def require_own_files(root: Path) -> None:
    """Requires that nothing below ``root`` is a link, a pipe or a device: it shall be written to.

    Raises:
        DataError: something is.
    """
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            mode = os.lstat(os.path.join(folder, name)).st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                relative = os.path.relpath(os.path.join(folder, name), root)
                raise _foreign(root, plain(relative), mode, "file or folder")


def read_json(root: Path, file: Path) -> dict[str, Any]:
    """Returns the JSON object in a metadata file of the dataset at ``root``.

    Raises:
        DataError: the file is missing, a link, too large, nested too deeply, or does not hold a
            JSON object.
    """
    relative = file.relative_to(root).as_posix()
    try:
        size = regular_size(root, relative)
        if size > MAX_JSON_BYTES:
            raise DataError(
                f"{relative} of a dataset may have at most {MAX_JSON_BYTES} bytes",
                received=f"{size} bytes in {root}",
                remedy=RESTORE,
            )
        content = json.loads(file.read_text(encoding="utf-8"))
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(
            f"a dataset must have the file {relative}", received=str(root), remedy=RESTORE
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{relative} of {root} cannot be read: {error}", remedy=RESTORE) from error
    if not isinstance(content, dict):
        raise DataError(
            f"{relative} of {root} must hold a JSON object",
            received=type(content).__name__,
            remedy=RESTORE,
        )
    if _deeper_than(content, MAX_JSON_DEPTH):
        raise DataError(
            f"{relative} of a dataset may be nested at most {MAX_JSON_DEPTH} deep",
            received=str(root),
            remedy=RESTORE,
        )
    return content


def _deeper_than(content: Any, depth: int) -> bool:
    """Whether lists and objects are nested deeper than ``depth``; level by level, no recursion."""
    level = [content]
    for _ in range(depth):
        below: list[Any] = []
        for item in level:
            values = item.values() if isinstance(item, dict) else item
            below.extend(value for value in values if isinstance(value, dict | list))
        if not below:
            return False
        level = below
    return True


def _foreign(root: Path, relative: str, mode: int, wanted: str) -> DataError:
    kind = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "a file"
    if not (stat.S_ISLNK(mode) or stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        kind = "a pipe, socket or device"
    return DataError(
        f"'{relative}' of {root} must be a {wanted} of the dataset's own",
        received=kind,
        remedy="copy the dataset with its links resolved (cp -rL) if you trust where they point",
    )


def plain(text: object, most: int = 300) -> str:
    r"""``text`` as it may be shown: at most ``most`` characters, and nothing a terminal obeys.

    Example:
        >>> plain("a" + chr(27) + "[2J")
        'a\\x1b[2J'
    """
    shown = str(text)[: most + 1]
    shown = shown if len(shown) <= most else shown[: most - 1] + "…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)
