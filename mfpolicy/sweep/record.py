"""What is known of each cell of a sweep, as small files that outlive whoever wrote them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mfpolicy.data.durable import WriterLock
from mfpolicy.errors import DataError
from mfpolicy.evaluation.records import write_json

MISSING, RUNNING = "missing", "running"
FINISHED, FAILED, INTERRUPTED = ENDED = ("finished", "failed", "interrupted")
POLL_S = 0.5
"""Time between looks at what other processes have done."""


@dataclass(frozen=True)
class CellRecord:
    """A cell's state and result.

    Attributes:
        name: of the cell and its run folder.
        state: missing, running, finished, failed or interrupted.
        values: swept key → value as typed.
        run: the run folder.
        log: what the cell printed, with the traceback of a failure.
        step: optimizer steps done. steps: of the whole training, where they are known.
        loss: mean loss of the last logged steps.
        episodes: evaluated, 0 where the cell was not.
        success_any: share of the episodes with success at some step.
        success_end: share with success at the last step.
        seconds: wall-clock time of the last attempt.
        reason: of a failure.
    """

    name: str
    state: str
    run: str
    log: str
    values: dict[str, str] = field(default_factory=dict)
    step: int | None = None
    steps: int | None = None
    loss: float | None = None
    episodes: int = 0
    success_any: float | None = None
    success_end: float | None = None
    seconds: float | None = None
    reason: str | None = None


class CellFiles:
    """The files of one cell beside its run folder.

    Args:
        out: folder of the sweep.
        name: of the cell.
    """

    FOLDER = ".sweep"

    def __init__(self, out: Path, name: str) -> None:
        self.name, self.run, folder = name, out / name, out / self.FOLDER
        self.log = folder / f"{name}.log"
        self._record, self._locked = folder / f"{name}.json", folder / name

    def read(self) -> CellRecord | None:
        """The record, None where there is none or it is not one that we wrote."""
        try:
            return CellRecord(**json.loads(self._record.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, record: CellRecord) -> None:
        """Writes the record, whole or not at all."""
        self._record.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._record, asdict(record))

    def forget(self) -> None:
        """Removes the record."""
        self._record.unlink(missing_ok=True)

    def lock(self) -> WriterLock | None:
        """The right to run the cell, None while another process has it."""
        return lock_or_none(self._locked)

    def is_running(self) -> bool:
        """Whether a process runs the cell; it takes the lock for a moment."""
        lock = self.lock()
        if lock is None:
            return True
        lock.release()
        return False


def lock_or_none(path: Path) -> WriterLock | None:
    """The right to what ``path`` names, None while another process has it."""
    try:
        return WriterLock(path.resolve())
    except DataError:
        return None
