"""Runs a sweep through a launcher: what is missing, once, whatever became of earlier attempts."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mfpolicy.config import Cell, Sweep, SweepConfig
from mfpolicy.config.launching import TOGETHER, check_installed
from mfpolicy.errors import RunError
from mfpolicy.sweep.batches import Batches
from mfpolicy.sweep.cell import CellWork, Evaluate
from mfpolicy.sweep.record import ENDED, POLL_S, CellFiles, CellRecord, lock_or_none
from mfpolicy.sweep.share import share_of
from mfpolicy.training.distributed import World
from mfpolicy.training.run_folder import claim_run_folder
from mfpolicy.training.several import describe_datasets, open_datasets
from mfpolicy.training.train import settled

C = TypeVar("C", bound=Cell)

Progress = Callable[[CellRecord, int, int], None]
"""Called for each cell that ends, with how many have ended and how many there are."""


@dataclass(frozen=True)
class SweepResult:
    """What a sweep came to.

    Attributes:
        out: its folder.
        records: one a cell, in the order of the cells.
        interrupted: stopped by Ctrl-C or SIGTERM; the same command goes on.
    """

    out: Path
    records: tuple[CellRecord, ...]
    interrupted: bool


def run_sweep(
    sweep: Sweep, evaluate: Evaluate, *, progress: Progress = lambda *_: None
) -> SweepResult:
    """Trains, and evaluates if asked, every cell that is not finished yet.

    A cell that fails leaves the others going. If a worker process dies, the cells that died with
    it are tried once more, each alone, to tell the one that kills its worker from its neighbours.

    Args:
        sweep: the cells and how to run them.
        evaluate: measures a trained cell.
        progress: told of each cell that ends.

    Raises:
        RunError: the folder is in use by another sweep, a cell's run folder belongs to another
            configuration (the message lists the differences), or the workers do not see it.
        BackendError: the launcher cannot start.
        ConfigError: an option of the launcher does not fit.
    """
    config = sweep.config
    check_installed(config.launcher["name"])
    out = Path(config.out).resolve()
    cells = [in_folder(cell, out) for cell in sweep.cells]
    changed = check_folders(out, cells, resume=config.resume)
    work = CellWork(cells, out, evaluate, config.episodes, config.threads, os.getpid())
    return run_cells(work, config, forget=changed, progress=progress)


def run_cells(
    work: CellWork,
    config: SweepConfig,
    *,
    forget: Sequence[str] = (),
    progress: Progress = lambda *_: None,
) -> SweepResult:
    """Does every cell of ``work`` that is not finished yet, through the launcher.

    Args:
        work: the cells, with paths that hold wherever the launcher runs them.
        config: the launcher, and how many cells it is handed at once.
        forget: names of cells whose outcome so far no longer counts.
        progress: told of each cell that ends.

    Raises:
        RunError: the folder is in use by another sweep, or the workers do not see it.
        BackendError: the launcher cannot start.
        ConfigError: an option of the launcher does not fit.
    """
    check_installed(config.launcher["name"])
    out, cells = work.out, work.cells
    share = share_of(config.launcher, cells=len(cells), device=cells[0].config.device)
    work = dataclasses.replace(work, threads=work.threads or share.threads)
    launcher = dict(config.launcher)
    size = config.max_batch_size
    if launcher["name"] == "joblib":
        launcher["n_jobs"] = share.at_once
    if launcher["name"] == TOGETHER:
        launcher["workers"] = share.at_once
    if launcher["name"] == "submitit_local":
        size = size or share.at_once
    batches = Batches(work, launcher, out / CellFiles.FOLDER)
    with _only_sweep(out):
        for name in forget:
            CellFiles(out, name).forget()
        todo = batches.unfinished()
        with _terminable(), _watching(work, todo, progress):
            interrupted = batches.run(todo, size)
    return SweepResult(out, tuple(batches.outcome(n) for n in range(len(cells))), interrupted)


def in_folder(cell: C, out: Path) -> C:
    """The cell with absolute paths, its run folder below ``out`` under its name."""
    paths = tuple(str(Path(data).resolve()) for data in cell.config.data_of.values())
    data = paths[0] if isinstance(cell.config.data, str) else paths
    config = dataclasses.replace(cell.config, data=data, out=str(out / cell.name))
    return dataclasses.replace(cell, config=config)


def check_folders(out: Path, cells: Sequence[Cell], *, resume: bool | str) -> list[str]:
    """Refuses folders of something else before any cell runs.

    Returns:
        The names of the cells whose configuration or data changed, where that was forced.

    Raises:
        RunError: a run folder holds another run (the message lists the differences) or something
            else, or the sweep's is not empty and ``resume`` is off.
        DataError: a dataset is missing or damaged.
    """
    if not resume and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(
            "with resume=false the folder of a sweep must be new or empty",
            received=str(out),
            remedy="leave resume out to go on, or choose another out=",
        )
    changed = []
    for cell in cells:
        run = Path(cell.config.out)
        if run.exists() and (not run.is_dir() or any(run.iterdir())):
            data = describe_datasets(open_datasets(cell.config), cell.config)
            if claim_run_folder(settled(cell.config, World()), data).changed:
                changed.append(cell.name)
    return changed


@contextmanager
def _only_sweep(out: Path) -> Iterator[None]:
    lock = lock_or_none(out / CellFiles.FOLDER / "sweep")
    if lock is None:
        raise RunError(
            "only one sweep may run in a folder at a time",
            received=str(out),
            remedy="wait until it has finished, or choose another out=",
        )
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _terminable() -> Iterator[None]:
    """Lets SIGTERM stop a sweep as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _watching(work: CellWork, todo: Sequence[int], progress: Progress) -> Iterator[None]:
    """Reports cells as they end, from their records: a launcher says nothing until all have."""
    waiting, stop = list(todo), threading.Event()

    def look() -> None:
        for number in list(waiting):
            record = work.files(number).read()
            if record is not None and record.state in ENDED:
                waiting.remove(number)
                progress(record, len(work.cells) - len(waiting), len(work.cells))

    def watch() -> None:
        while not stop.wait(POLL_S):
            look()

    thread = threading.Thread(target=watch, name="sweep-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        look()
