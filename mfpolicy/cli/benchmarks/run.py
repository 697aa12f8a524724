"""``mfpolicy benchmark run``."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfpolicy.cli import collect as collecting
from mfpolicy.cli.benchmarks import VERBS
from mfpolicy.cli.console import output
from mfpolicy.cli.environments import simulators
from mfpolicy.cli.eval import changed_by, environment_of, evaluate_run
from mfpolicy.cli.help import SHOW_CONFIG, print_help, wants_help
from mfpolicy.cli.sweep import FAILED, INTERRUPTED, reporter
from mfpolicy.config import Benchmark, compose, compose_benchmark, to_mapping
from mfpolicy.config.benchmark_grid import own_words
from mfpolicy.config.benchmarking import method_names, read_method, read_suite, suite_names
from mfpolicy.config.levels import read_robustness, robustness_names
from mfpolicy.errors import ConfigError

if TYPE_CHECKING:
    from mfpolicy.evaluation import EvalSummary
    from mfpolicy.sweep import SweepResult

NOTE = """\
Every key of `mfpolicy train` may be given and then holds for all methods: training.steps=300, or
policy=mp1 for the full size of the networks that no method chooses by itself (mp1_plus does). A key
that one of the methods sets is refused. Several values are written seed=0,1,2 or seed=range(3).

suites:
{suites}

methods:
{methods}

lists of perturbations, robustness=…:
{lists}

The same command goes on where an earlier one stopped. A cell whose record is in the folder of
records is finished, also on another machine and without its run folder; a record that was made with
other settings is refused. The exit code is 1 if a cell failed; its reason and its log are told."""


def run(words: Sequence[str]) -> int:
    """Runs a benchmark and prints a table of its success."""
    rest = [word for word in words if word not in ("--help", "-h", SHOW_CONFIG)]
    if wants_help(words):
        print_help("benchmark run", own_words(rest), note=_note(), what=VERBS["run"])
        return 0
    envs = simulators()
    benchmark = compose_benchmark(
        rest,
        difficulties={spec.name: spec.difficulty for spec in envs.tasks()},
        sets=envs.task_sets(),
    )
    if SHOW_CONFIG in words:
        _print_plan(benchmark)
        return 0
    from mfpolicy.benchmark.run import run_benchmark
    from mfpolicy.sweep.report import save_result

    result = run_benchmark(
        dataclasses.replace(benchmark, levels=checked_levels(benchmark.levels)),
        collect=collect_demonstrations,
        evaluate=evaluate_cell,
        recipes={task: recipe_of(task) for task in {str(c.config.task) for c in benchmark.cells}},
        progress=reporter(),
    )
    save_result(result)
    _print_result(benchmark, result)
    if result.interrupted:
        return INTERRUPTED
    return 0 if all(record.state == "finished" for record in result.records) else FAILED


def collect_demonstrations(task: str, out: Path, episodes: int) -> None:
    """Collects as ``mfpolicy collect`` does, from seed 0 on."""
    from mfpolicy.data.collect import collect

    config = compose("collect", [f"task={task}", f"out={out}", f"episodes={episodes}", "seed=0"])
    collect(collecting.environment_of(config), out, episodes=episodes, seed=0)


def recipe_of(task: str) -> dict[str, Any]:
    """How ``mfpolicy collect`` makes the clouds of a task."""
    simulators()
    from envs.suites import suite_of

    return suite_of(task).recipes[task].to_dict()


def checked_levels(levels: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The levels with every option of their perturbations, as evaluations record them.

    Raises:
        ConfigError: a value cannot be, or a level changes nothing.
    """
    checked = {}
    for name, options in levels.items():
        checked[name] = changed_by(options)
        if checked[name] is None:
            raise ConfigError(
                f"level {name} of a list in configs/robustness must change something",
                received=dict(options),
                remedy="leave it out: the evaluation without perturbation is always there",
            )
    return checked


def evaluate_cell(
    run: Path,
    episodes: int,
    workers: int | None,
    device: str,
    name: str = "benchmark",
    perturbation: Mapping[str, Any] | None = None,
) -> EvalSummary:
    """Evaluates as ``mfpolicy eval`` does, without videos, on the same seeds for every cell."""
    from mfpolicy.benchmark.settings import FIRST_SEED
    from mfpolicy.evaluation import perturbed

    words = [f"run={run}", f"episodes={episodes}", f"device={device}", f"name={name}"]
    words.append(f"seed={FIRST_SEED}")
    words += ["videos=false", *([] if workers is None else [f"workers={workers}"])]
    words += perturbed.words(perturbation)
    config = compose("eval", words)
    return evaluate_run(config, environment_of(config))


def _note() -> str:
    def listed(names: Sequence[str], read) -> str:
        width = max(map(len, names)) + 2
        return "\n".join(f"  {name:<{width}}{read(name).what}" for name in names)

    return NOTE.format(
        suites=listed(suite_names(), read_suite),
        methods=listed(method_names(), read_method),
        lists=listed(robustness_names(), read_robustness),
    )


def _print_plan(benchmark: Benchmark) -> None:
    import yaml

    cells = {
        cell.name: {"data": cell.config.data, "overrides": list(cell.overrides)}
        for cell in benchmark.cells
    }
    plan = {**to_mapping(benchmark.config), "records": str(benchmark.records)}
    plan |= {"levels": benchmark.levels, "cells": cells}
    print(yaml.safe_dump(plan, sort_keys=False, allow_unicode=True), end="")


def _print_result(benchmark: Benchmark, result: SweepResult) -> None:
    from rich.table import Table

    methods = benchmark.config.methods
    rows: dict[tuple[str, int], dict[str, list]] = defaultdict(lambda: defaultdict(list))
    for cell, record in zip(benchmark.cells, result.records, strict=True):
        rows[str(cell.config.task), cell.demonstrations][cell.method].append(record)
    table = Table("task", "demonstrations", box=None, padding=(0, 2, 0, 0))
    for method in methods:
        table.add_column(method, justify="right")
    for (task, demonstrations), found in rows.items():
        table.add_row(task, str(demonstrations), *(_success(found[m]) for m in methods))
    output().print(table)
    print("\nsuccess at any step / at the end, mean over the seeds that are finished")
    for record in result.records:
        if record.state == "failed":
            print(f"\n{record.name} failed: {record.reason}\n  log: {record.log}")
    print(f"\nrecords: {benchmark.records}")
    if any(record.state != "finished" for record in result.records):
        print("the same command goes on with what is not finished")


def _success(records: Sequence) -> str:
    done = [record for record in records if record.state == "finished"]
    if not done:
        return " ".join(sorted({record.state for record in records}))
    rates = [
        sum(getattr(record, key) for record in done) / len(done)
        for key in ("success_any", "success_end")
    ]
    missing = "" if len(done) == len(records) else f" ({len(done)} of {len(records)})"
    return " / ".join(f"{rate:.1%}" for rate in rates) + missing
