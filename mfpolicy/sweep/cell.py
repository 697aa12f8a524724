"""One cell of a sweep: trained, evaluated, its outcome on record whatever happens."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mfpolicy.config import Cell
from mfpolicy.errors import UserError
from mfpolicy.evaluation.run_folder import read_metrics
from mfpolicy.evaluation.summary import EvalSummary
from mfpolicy.sweep.record import FAILED, FINISHED, INTERRUPTED, RUNNING, CellFiles, CellRecord

if TYPE_CHECKING:
    from mfpolicy.training import TrainSummary

Evaluate = Callable[[Path, int, int | None, str], EvalSummary]
"""Measures a run folder: (run, episodes, workers, device) → summary; picklable."""


@dataclass(frozen=True)
class CellWork:
    """Does the cells of a sweep by their number, in whichever process a launcher chooses.

    Attributes:
        cells: all of them, with absolute paths.
        out: folder of the sweep, absolute.
        evaluate: measures a trained cell.
        episodes: evaluation episodes; 0 for no evaluation.
        threads: of torch within a cell, and processes of its evaluation; None: as torch has it.
        driver: process id of the command that runs the sweep.
    """

    cells: Sequence[Cell]
    out: Path
    evaluate: Evaluate
    episodes: int
    threads: int | None
    driver: int

    def files(self, number: int) -> CellFiles:
        """The files of a cell."""
        return CellFiles(self.out, self.cells[number].name)

    def is_finished(self, number: int) -> bool:
        """Whether the cell is trained, and evaluated as asked."""
        files = self.files(number)
        record = files.read()
        return (
            record is not None
            and record.state == FINISHED
            and self.episodes in (0, record.episodes)
            and (files.run / "model.safetensors").is_file()
        )

    def record(self, number: int, state: str) -> CellRecord:
        """A record of the cell without a result."""
        cell, files = self.cells[number], self.files(number)
        return CellRecord(
            name=cell.name,
            state=state,
            run=str(files.run),
            log=str(files.log),
            values=cell.values,
        )

    def is_trained(self, number: int) -> bool:
        """Whether there is nothing to train, whatever the run folder says; never here."""
        del number
        return False

    def prepare(self, number: int) -> None:
        """Does what a cell needs before its training; nothing here."""

    def __call__(self, number: int) -> None:
        """Trains and evaluates a cell, going on where it stopped; its record says how it ended.

        A cell that another process has in hand, or that is finished, is left alone.

        Raises:
            KeyboardInterrupt: the training was stopped, and this process is the sweep's own.
        """
        files = self.files(number)
        lock = files.lock()
        if lock is None:
            return
        try:
            if not self.is_finished(number):
                self._attempt(number, files)
        finally:
            lock.release()
        ended = files.read()
        if ended is not None and ended.state == INTERRUPTED and os.getpid() == self.driver:
            raise KeyboardInterrupt

    def trained(self, begun: CellRecord, summary: TrainSummary) -> CellRecord:
        """The record of a cell whose training has ended."""
        return dataclasses.replace(
            begun,
            state=INTERRUPTED if summary.interrupted else FINISHED,
            step=summary.step,
            steps=summary.planned_steps,
            loss=_last_loss(summary.run) if summary.loss is None else summary.loss,
        )

    def failed(self, begun: CellRecord, error: Exception, log: TextIO) -> CellRecord:
        """The record of a cell that failed; the log gets the traceback."""
        traceback.print_exception(error, file=log)
        known = str(error) if isinstance(error, UserError) else None
        reason = known or f"{type(error).__name__}: {error}"
        return dataclasses.replace(begun, state=FAILED, reason=reason)

    def _attempt(self, number: int, files: CellFiles) -> None:
        started = time.monotonic()
        begun = self.record(number, RUNNING)
        files.write(begun)
        with files.log.open("a") as log, redirect_stdout(log), redirect_stderr(log):
            try:
                with torch_threads(self.threads):
                    ended = self._train_and_evaluate(number, begun)
            except Exception as error:
                ended = self.failed(begun, error, log)
            except BaseException:
                files.write(dataclasses.replace(begun, state=INTERRUPTED))
                raise
        files.write(dataclasses.replace(ended, seconds=round(time.monotonic() - started, 1)))

    def _train_and_evaluate(self, number: int, begun: CellRecord) -> CellRecord:
        from mfpolicy.policy.files import check_device
        from mfpolicy.training import train

        config, done = self.cells[number].config, begun
        if not self.is_trained(number):
            self.prepare(number)
            summary = train(config)
            done = self.trained(begun, summary)
            if summary.interrupted or not self.episodes:
                return done
        _settle_start_method()
        return self.measured(number, done, str(check_device(config.device)))

    def measured(self, number: int, done: CellRecord, device: str) -> CellRecord:
        """Evaluates a trained cell; its record with the result."""
        run = self.files(number).run
        measured = self.evaluate(run, self.episodes, self.threads, device)
        return dataclasses.replace(
            done,
            episodes=measured.episodes,
            success_any=measured.success_any.rate,
            success_end=measured.success_end.rate,
        )


def _last_loss(run: Path) -> float | None:
    metrics = read_metrics(run)
    return metrics[-1]["loss"] if metrics else None


def _settle_start_method() -> None:
    """Makes Python's own start methods the default again within a worker of joblib.

    Such a worker names a method of joblib's as its default. Processes that it spawns, as those of
    an evaluation, would be told to use it, and end because Python does not know it.
    """
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        multiprocessing.set_start_method("spawn", force=True)


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Sets the threads of torch for a while."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
