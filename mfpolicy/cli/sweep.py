"""``mfpolicy sweep``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mfpolicy.cli.console import output
from mfpolicy.cli.environments import check_trainable
from mfpolicy.cli.eval import environment_of, evaluate_run
from mfpolicy.cli.help import SHOW_CONFIG, print_help, wants_help
from mfpolicy.config import Sweep, compose, compose_sweep, to_mapping
from mfpolicy.config.grid import own_words
from mfpolicy.errors import ConfigError

if TYPE_CHECKING:
    from mfpolicy.evaluation import EvalSummary
    from mfpolicy.sweep import CellRecord, SweepResult

FAILED, INTERRUPTED = 1, 130

NOTE = """\
Every key of `mfpolicy train` may be given, task and data must be, with one value or with several:
seed=0,1,2, seed=range(5), policy=glob(*). Each combination is a cell, a run folder below out named
after its values. In data, {task} stands for the cell's task without its suite, {suite} for the
suite, {seed} and other swept keys for their values.

The same command goes on where an earlier one stopped: finished cells are left as they are, others
resume. The exit code is 1 if a cell failed, the reason is in the table and its log named there."""


def run(words: Sequence[str]) -> int:
    """Runs a sweep and prints a table of its cells."""
    rest = [word for word in words if word not in ("--help", "-h", SHOW_CONFIG)]
    if wants_help(words):
        print_help("sweep", own_words(rest), note=NOTE)
        return 0
    sweep = compose_sweep(rest)
    if SHOW_CONFIG in words:
        _print_plan(sweep)
        return 0
    pairs = {pair: None for cell in sweep.cells for pair in cell.config.data_of.items()}
    for task, data in pairs:
        check_trainable(task, data)
        _check_dataset(data)
    _check_evaluable(sweep)
    from mfpolicy.sweep import run_sweep
    from mfpolicy.sweep.report import save_result

    result = run_sweep(sweep, evaluate_cell, progress=reporter())
    save_result(result)
    _print_result(result)
    if result.interrupted:
        return INTERRUPTED
    return 0 if all(record.state == "finished" for record in result.records) else FAILED


def evaluate_cell(run: Path, episodes: int, workers: int | None, device: str) -> EvalSummary:
    """Evaluates a trained cell as ``mfpolicy eval`` does, on the same seeds for every cell."""
    words = [f"run={run}", f"episodes={episodes}", f"device={device}"]
    config = compose("eval", words if workers is None else [*words, f"workers={workers}"])
    return evaluate_run(config, environment_of(config))


def _check_evaluable(sweep: Sweep) -> None:
    several = [cell.name for cell in sweep.cells if len(cell.config.tasks) > 1]
    if several and sweep.config.episodes:
        raise ConfigError(
            "a sweep evaluates policies of one task",
            received=f"episodes={sweep.config.episodes} for {several[0]}",
            remedy="set episodes=0, then `mfpolicy eval` evaluates each task of a run",
        )


def _check_dataset(data: str) -> None:
    from mfpolicy.data import open_dataset

    open_dataset(data)


def _print_plan(sweep: Sweep) -> None:
    import yaml

    cells = {
        cell.name: {**cell.values, "data": to_mapping(cell.config)["data"]} for cell in sweep.cells
    }
    plan = {**to_mapping(sweep.config), "cells": cells}
    print(yaml.safe_dump(plan, sort_keys=False, allow_unicode=True), end="")


def reporter():
    """Reports on the terminal of the command, also while a cell in this process has it captured."""
    stream = sys.stderr

    def say(record: CellRecord, ended: int, cells: int) -> None:
        text = f"[{ended}/{cells}] {record.name}: {record.state}"
        print(f"{text}: {record.reason}" if record.reason else text, file=stream, flush=True)

    return say


def _print_result(result: SweepResult) -> None:
    from rich.table import Table

    table = Table("cell", "state", box=None, padding=(0, 2, 0, 0))
    for heading in ("steps", "loss", "success", "at the end"):
        table.add_column(heading, justify="right")
    for record in result.records:
        planned = "" if record.steps is None else f" of {record.steps}"
        steps = "" if record.step is None else f"{record.step}{planned}"
        loss = "" if record.loss is None else f"{record.loss:.4g}"
        rates = (record.success_any, record.success_end)
        success = ["" if rate is None else f"{rate:.1%}" for rate in rates]
        table.add_row(record.name, record.state, steps, loss, *success)
    output().print(table)
    failed = [record for record in result.records if record.state == "failed"]
    for record in failed:
        print(f"\n{record.name} failed: {record.reason}\n  log: {record.log}")
    print(f"\ntable: {result.out / 'sweep.csv'}")
    if any(record.state != "finished" for record in result.records):
        print("the same command goes on with what is not finished")
