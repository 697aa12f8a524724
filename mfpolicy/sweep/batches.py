"""Hands batches of cells to a launcher until each cell has an outcome."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mfpolicy.config.launching import TOGETHER, launch
from mfpolicy.errors import BackendError, RunError, UserError
from mfpolicy.evaluation.run_folder import checkpoint_step
from mfpolicy.sweep.cell import CellWork
from mfpolicy.sweep.record import FAILED, INTERRUPTED, MISSING, POLL_S, RUNNING, CellRecord
from mfpolicy.sweep.together import run_together


class Batches:
    """Runs the cells of a sweep through a launcher.

    Args:
        work: does a cell.
        launcher: its name and options.
        folder: for what the launcher itself writes.
    """

    def __init__(self, work: CellWork, launcher: Mapping[str, Any], folder: Path) -> None:
        self.work, self.launcher, self.folder = work, launcher, folder

    def unfinished(self) -> list[int]:
        """The cells to run; how an earlier attempt at them ended is forgotten."""
        todo = [n for n in range(len(self.work.cells)) if not self.work.is_finished(n)]
        for number in todo:
            files = self.work.files(number)
            if not files.is_running():
                files.forget()
        return todo

    def run(self, todo: Sequence[int], size: int | None) -> bool:
        """Runs the cells, at most ``size`` handed over at once; says whether it was interrupted."""
        size = size or max(1, len(todo))
        batches = deque(list(todo[i : i + size]) for i in range(0, len(todo), size))
        try:
            while batches:
                batches.extend(self._run_batch(batches.popleft()))
        except KeyboardInterrupt:
            return True
        return False

    def _run_batch(self, batch: list[int]) -> list[list[int]]:
        """Runs a batch and returns what must run again, in batches."""
        lost: Exception | None = None
        try:
            errors = self._launch(batch)
        except UserError:
            raise
        except Exception as error:
            lost, errors = error, {}
        self._wait_for(batch)
        for number, error in errors.items():
            self._fail(number, f"{type(error).__name__}: {error}")
        states = {n: record and record.state for n in batch for record in [self._read(n)]}
        unbegun = [n for n in batch if states[n] is None]
        died = [n for n in batch if states[n] == RUNNING]
        if unbegun == batch:
            raise self._nothing_began(lost)
        if len(died) == 1:
            self._fail(died[0], f"its process died: {' '.join(str(lost).split())}")
            died = []
        for number in died:
            self.work.files(number).forget()
        return [batch for batch in (unbegun, *([number] for number in died)) if batch]

    def _launch(self, batch: list[int]) -> dict[int, BaseException]:
        if self.launcher["name"] != TOGETHER:
            return launch(self.work, batch, self.launcher, self.folder)
        run_together(self.work, batch, self.launcher["workers"])
        return {}

    def outcome(self, number: int) -> CellRecord:
        """The record of a cell after the sweep."""
        files = self.work.files(number)
        record = files.read() or self.work.record(number, MISSING)
        if record.state == RUNNING and not files.is_running():
            record = dataclasses.replace(record, state=INTERRUPTED)
        if record.step is None and files.run.is_dir():
            record = dataclasses.replace(record, step=checkpoint_step(files.run))
        return record

    def _read(self, number: int) -> CellRecord | None:
        return self.work.files(number).read()

    def _fail(self, number: int, reason: str) -> None:
        failed = self.work.record(number, FAILED)
        self.work.files(number).write(dataclasses.replace(failed, reason=reason))

    def _wait_for(self, batch: Sequence[int]) -> None:
        """Waits for processes that outlive their launcher, of this sweep or one that was killed."""
        while any(self.work.files(number).is_running() for number in batch):
            time.sleep(POLL_S)

    def _nothing_began(self, lost: Exception | None) -> UserError:
        name = self.launcher["name"]
        if lost is not None:
            return BackendError(
                f"launcher={name} must be able to start processes",
                received=f"{type(lost).__name__}: {lost}",
                remedy="check the options of the launcher, or use launcher=joblib",
            )
        return RunError(
            "the workers must see the sweep's folder; they left no record in it",
            received=str(self.folder),
            remedy="put out= on a file system that all machines share",
        )
