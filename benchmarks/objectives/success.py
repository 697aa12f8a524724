"""Success of the objectives on three Meta-World tasks: same data, network and number of steps.

Trains ``mp1_small`` with each objective in turn on ten demonstrations and evaluates it on the same
unseen seeds, two cells at a time with one thread each. It goes on where it stopped, and writes the
result after every cell:

    python -m benchmarks.objectives.success --out benchmarks/results/2026-11-24-objectives-success

Every objective takes its own default number of network evaluations.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.cells import FIRST_SEED, Cell, Study, machine, rate
from benchmarks.provenance import commit
from mfpolicy import objectives
from mfpolicy.config import compose_preset

TASKS = ("drawer-open", "pick-place", "peg-insert-side")
STEPS = 500
METHODS = (
    "meanflow",
    "regression",
    "flow_matching",
    "ddim",
    "split_meanflow",
    "energy_score",
    "alpha_flow",
    "mip",
    "improved_meanflow",
    "shortcut",
    "consistency_flow_matching",
)


def evaluations(method: str) -> int:
    """Network evaluations of a chunk at deployment."""
    options = dict(compose_preset("mp1_small", [f"objective={method}"]).objective)
    return objectives.build(**options).default_steps


def table(cells: list[Cell], commit: str) -> str:
    """The result as Markdown."""
    rows = [
        "`mp1_small` with each objective: the same ten demonstrations (seeds from 0), encoder, "
        f"network, optimizer and number of steps ({STEPS} of 64), one training seed; evaluation "
        f"seeds from {FIRST_SEED}, the last weights. Success at any step, Wilson 95 % intervals; "
        f"at the end in brackets. {machine()}; trained at commit {commit}.",
        "",
        "| objective | NFE | " + " | ".join(TASKS) + " |",
        "|---|---|" + "---|" * len(TASKS),
    ]
    for method in dict.fromkeys(cell.method for cell in cells):
        own = {cell.task: cell for cell in cells if cell.method == method}
        shown = [
            f"{rate(own[task].success_any)} ({sum(own[task].success_end)})" if task in own else ""
            for task in TASKS
        ]
        rows.append(f"| {method} | {evaluations(method)} | " + " | ".join(shown) + " |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Runs what is missing and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--work", type=Path, default=Path("runs/objectives"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    study = Study(given.work, given.episodes, "objectives")
    for task in TASKS:
        study.collect(task)
    finished: list[Cell] = []
    common = ["policy=mp1_small", f"training.steps={STEPS}"]
    wanted = [
        (method, [*common, f"objective={method}"], task, given.seed)
        for method in given.methods
        for task in TASKS
    ]
    for cell in study.run_all(wanted):
        finished.append(cell)
        _write(given.out, finished)


def _write(out: Path, cells: list[Cell]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps([asdict(cell) for cell in cells]) + "\n")
    out.with_suffix(".md").write_text(table(cells, commit()))


if __name__ == "__main__":
    main()
