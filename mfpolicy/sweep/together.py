"""``launcher=together``: the cells of a sweep as runs side by side in the sweep's own process."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from mfpolicy.config import TrainConfig
from mfpolicy.sweep.cell import CellWork, torch_threads
from mfpolicy.sweep.record import RUNNING

if TYPE_CHECKING:
    from mfpolicy.training import TrainSummary
    from mfpolicy.training.shared_windows import SharedWindows


def run_together(work: CellWork, numbers: Sequence[int], workers: int) -> None:
    """Trains cells at once in this process, then evaluates those that are trained, in turn.

    Every outcome is in the cell's record. Evaluation waits until all are trained: it has processes
    of its own, and what it prints goes to the log of one cell.

    Args:
        work: does the cells.
        numbers: which of them.
        workers: how many train at a time.

    Raises:
        KeyboardInterrupt: they were stopped; the state of each that was under way is saved.
    """
    trained = _train(work, numbers, workers)
    if work.episodes:
        alone = dataclasses.replace(work, threads=work.threads and work.threads * workers)
        for number in trained:
            alone(number)


def _train(work: CellWork, numbers: Sequence[int], workers: int) -> list[int]:
    """Trains the cells that no other process has in hand; returns those that came to their end."""
    from mfpolicy.training import TogetherError, train, train_together

    with ExitStack() as locks:
        taken = [number for number in numbers if _taken(work, number, locks)]
        done = [number for number in taken if work.is_trained(number)]
        free = [number for number in taken if number not in done and _prepared(work, number)]
        by_folder = {work.cells[number].config.out: number for number in free}

        def on_record(config: TrainConfig, *, load: SharedWindows) -> TrainSummary:
            number = by_folder[config.out]
            begun = work.record(number, RUNNING)
            work.files(number).write(begun)
            summary = train(config, load=load)
            ended = dataclasses.replace(begun, seconds=round(summary.seconds, 1))
            work.files(number).write(work.trained(ended, summary))
            return summary

        if not free:
            return done
        count = min(workers, len(free))
        with torch_threads(work.threads and work.threads * count):
            try:
                outcomes = train_together(
                    [work.cells[number].config for number in free], workers=count, each=on_record
                )
            except TogetherError as error:
                outcomes = error.outcomes
        ended = dict(zip(free, outcomes, strict=True))
        for number, outcome in ended.items():
            if isinstance(outcome, Exception):
                _fail(work, number, outcome)
    summaries = {n: o for n, o in ended.items() if not isinstance(o, Exception)}
    if any(summary.interrupted for summary in summaries.values()):
        raise KeyboardInterrupt
    return [*done, *summaries]


def _taken(work: CellWork, number: int, locks: ExitStack) -> bool:
    lock = work.files(number).lock()
    if lock is not None:
        locks.callback(lock.release)
    return lock is not None


def _prepared(work: CellWork, number: int) -> bool:
    """Prepares a cell here, one after another: what it needs may be no work for threads."""
    try:
        work.prepare(number)
    except Exception as error:
        _fail(work, number, error)
        return False
    return True


def _fail(work: CellWork, number: int, error: Exception) -> None:
    begun = work.record(number, RUNNING)
    work.files(number).write(begun)
    with work.files(number).log.open("a") as log:
        failed = work.failed(begun, error, log)
    work.files(number).write(failed)
