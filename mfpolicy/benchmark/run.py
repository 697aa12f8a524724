"""Runs what a benchmark lacks, through the machinery of sweeps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mfpolicy.benchmark.demonstrations import Collect, digest_of
from mfpolicy.benchmark.evaluating import Evaluate
from mfpolicy.benchmark.robustness import Levels
from mfpolicy.benchmark.work import BenchmarkWork
from mfpolicy.config import Benchmark
from mfpolicy.sweep import SweepResult, check_folders, in_folder, run_cells
from mfpolicy.sweep.driver import Progress
from mfpolicy.versions import source_commit


def run_benchmark(
    benchmark: Benchmark,
    *,
    collect: Collect,
    evaluate: Evaluate,
    recipes: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Progress = lambda *_: None,
) -> SweepResult:
    """Finishes every cell that has no record yet: demonstrations, training, evaluations.

    A cell with a record of the same settings is done, wherever it was run and whatever is left of
    its run folder; only evaluations under perturbations that it lacks need that folder. A cell
    that fails leaves the others going.

    Args:
        benchmark: the cells and how to run them.
        collect: makes the demonstrations of a task.
        evaluate: measures a trained cell.
        recipes: task → how the clouds of its demonstrations must be made, also of those that are
            there already; None: anyhow.
        progress: told of each cell that ends.

    Raises:
        RunError: a record or a run folder was made with other settings (the message lists the
            differences) or is damaged, the folder is in use by another benchmark, or the workers
            do not see it.
        BackendError: the launcher cannot start.
        ConfigError: an option of the launcher does not fit.
    """
    config = benchmark.config
    out = Path(config.out).resolve()
    cells = [in_folder(cell, out) for cell in benchmark.cells]
    work = BenchmarkWork(
        cells=cells,
        out=out,
        evaluate=evaluate,
        episodes=config.episodes,
        threads=config.threads,
        driver=os.getpid(),
        collect=collect,
        records=benchmark.records.resolve(),
        commit=source_commit(),
        levels=Levels(benchmark.levels, config.robustness_episodes or config.episodes),
        recipes=recipes or {},
    )
    begun = [
        cell
        for number, cell in enumerate(cells)
        if not work.path(number).is_file()
        and digest_of(Path(str(cell.config.data)), cell.demonstrations)  # else they are made first
    ]
    check_folders(out, begun, resume=True)
    return run_cells(work, config.sweep, progress=progress)
