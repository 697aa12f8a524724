"""The commit of the package's sources, and what a training began with."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from mfpolicy.data.durable import write_durably
from mfpolicy.training.run_folder import BEGAN, CONFIG


def note_beginning(run: Path, about: dict[str, Any]) -> None:
    """Keeps in a run folder what its training begins with; a run that has begun stays as it is.

    A record may be made long after the training, by other code and on another machine.

    Args:
        run: the run folder, which need not be there yet.
        about: JSON-able.
    """
    if not (run / CONFIG).is_file():
        write_durably(run / BEGAN, json.dumps(about, indent=1).encode())


def read_beginning(run: Path) -> dict[str, Any] | None:
    """What the training of a run folder began with, None where the folder does not say."""
    path = run / BEGAN
    return json.loads(path.read_text()) if path.is_file() else None


def source_commit() -> str | None:
    """The commit this package runs from, with ``-dirty`` where files changed since; or None.

    None is an installed package, or a machine without git.
    """
    root = Path(__file__).resolve().parent.parent
    try:
        _git(root, "ls-files", "--error-unmatch", "__init__.py")
        return _git(root, "describe", "--always", "--dirty", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()
