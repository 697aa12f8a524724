"""What a training began with, kept in its run folder."""

from __future__ import annotations

import json
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
