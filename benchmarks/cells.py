"""Cells of a study: each one trained policy and its episodes, run by the package's own commands."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance
from mfpolicy.evaluation.statistics import compare_paired, wilson_interval

FIRST_SEED = 10_000


@dataclass(frozen=True)
class Cell:
    """One trained policy and its episodes."""

    method: str
    task: str
    seed: int
    success_any: list[bool]
    success_end: list[bool]
    train_seconds: float
    samples_per_s: float


@dataclass(frozen=True)
class Study:
    """What the cells of a study share.

    Attributes:
        work: folder of datasets and run folders.
        episodes: evaluated episodes of a cell.
        name: of the evaluation in each run folder.
        suite: of the tasks. demonstrations: of a dataset. videos: also written.
    """

    work: Path
    episodes: int
    name: str
    suite: str = "metaworld"
    demonstrations: int = 10
    videos: bool = False

    def collect(self, task: str) -> None:
        """Collects the demonstrations of a task, unless they are there."""
        data = f"{self.work / task}.zarr"
        mfpolicy(
            *("collect", f"task={self.suite}/{task}", f"episodes={self.demonstrations}"),
            *("seed=0", f"out={data}"),
        )

    def run(self, method: str, overrides: Sequence[str], task: str, seed: int) -> Cell:
        """Trains and evaluates one cell, or reads what an earlier call left."""
        run = self.work / "runs" / f"{method}-{task}-{seed}"
        shown = (f"task={self.suite}/{task}", f"data={self.work / task}.zarr")
        self._train(run, [*shown, *overrides], seed)
        return self._evaluate(run, method, task, seed, self.name)

    def run_several(
        self, method: str, overrides: Sequence[str], tasks: Sequence[str], seed: int
    ) -> Iterator[Cell]:
        """Trains one policy of all tasks, and yields it as a cell of each; it resumes likewise."""
        run = self.work / "runs" / f"{method}-{'-'.join(tasks)}-{seed}"
        names = ",".join(f"{self.suite}/{task}" for task in tasks)
        data = ",".join(f"{self.work / task}.zarr" for task in tasks)
        self._train(run, [f"task=[{names}]", f"data=[{data}]", *overrides], seed)
        for task in tasks:
            name, told = f"{self.name}-{task}", f"task={self.suite}/{task}"
            yield self._evaluate(run, method, task, seed, name, told)

    def _train(self, run: Path, words: Sequence[str], seed: int) -> None:
        mfpolicy(
            *("train", *words, f"out={run}", f"seed={seed}", "resume=true"),
            *("logging.wandb=disabled", "logging.progress=false"),
        )

    def _evaluate(
        self, run: Path, method: str, task: str, seed: int, name: str, *words: str
    ) -> Cell:
        rate = _median_rate(run)
        mfpolicy(
            *("eval", str(run), f"episodes={self.episodes}", f"seed={FIRST_SEED}", "workers=1"),
            *(f"videos={str(self.videos).lower()}", f"name={name}", *words),
        )
        lines = (run / "eval" / name / "episodes.jsonl").read_text().splitlines()
        results = sorted((json.loads(line) for line in lines), key=lambda r: r["seed"])
        config = (run / "config.yaml").read_text()
        steps, batch = (int(_value(config, key)) for key in ("steps", "batch_size"))
        return Cell(
            method=method,
            task=task,
            seed=seed,
            success_any=[r["success_any"] for r in results[: self.episodes]],
            success_end=[r["success_end"] for r in results[: self.episodes]],
            train_seconds=round(steps * batch / rate, 1),
            samples_per_s=rate,
        )

    def run_all(
        self, cells: Sequence[tuple[str, Sequence[str], str, int]], workers: int = 2
    ) -> Iterator[Cell]:
        """Yields (method, overrides, task, seed) in this order, run ``workers`` at a time."""
        with ThreadPoolExecutor(max_workers=workers) as pool:
            waiting: list[Future[Cell]] = [pool.submit(self.run, *cell) for cell in cells]
            for future in waiting:
                yield future.result()


def mfpolicy(*words: str) -> None:
    """Runs one command of the package with one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "mfpolicy", *words], check=True, env=environment)


def rate(flags: list[bool]) -> str:
    """Successes of episodes with the Wilson 95 % interval."""
    interval = wilson_interval(sum(flags), len(flags))
    low, high = (100 * bound for bound in interval)
    return (
        f"{sum(flags)}/{len(flags)} = {100 * sum(flags) / len(flags):.1f} % [{low:.0f}, {high:.0f}]"
    )


def paired(ours: Mapping[int, bool], other: Mapping[int, bool]) -> str:
    """The paired difference in points with Newcombe's 95 % interval, and McNemar's exact p."""
    pair = compare_paired(ours, other)
    low, high = (100 * bound for bound in pair.interval)
    return f"{100 * pair.difference:+.1f} [{low:+.0f}, {high:+.0f}], p {pair.p_value:.2g}"


def success(cells: Sequence[Cell]) -> str:
    """Success of all episodes at any step, those at the end in brackets; nothing of no cells."""
    if not cells:
        return ""
    ended = sum(up for cell in cells for up in cell.success_end)
    return f"{rate([up for cell in cells for up in cell.success_any])} ({ended})"


def write_study(
    out: Path,
    cells: Sequence[Cell],
    steps: int,
    table: Callable[[Sequence[Cell], int, Mapping[str, Any]], str],
) -> None:
    """Writes all cells so far with where they come from, as JSON and as ``table`` tells them."""
    about = provenance()
    out.parent.mkdir(parents=True, exist_ok=True)
    content = {**about, "steps": steps, "cells": [asdict(cell) for cell in cells]}
    out.with_suffix(".json").write_text(json.dumps(content) + "\n")
    out.with_suffix(".md").write_text(table(cells, steps, about))


def write_table(description: str, table: Callable[[], str]) -> None:
    """The command of a study that trains nothing: writes ``table()`` to the path of ``--out``."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.parse_args().out.write_text(table())


def machine() -> str:
    """The machine in words."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _median_rate(run: Path) -> float:
    """Samples per second of the run, kept from the first time that it was read."""
    record = run / "cell_time.json"
    if not record.is_file():
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        rates = sorted(line["samples_per_s"] for line in lines)
        record.write_text(json.dumps({"samples_per_s": rates[len(rates) // 2]}))
    return json.loads(record.read_text())["samples_per_s"]


def _value(config: str, key: str) -> str:
    return next(x for x in config.splitlines() if x.strip().startswith(f"{key}:")).split(":")[1]
