"""One policy of three Meta-World tasks beside one policy of each.

Ten demonstrations of each task, the same preset and evaluation seeds. ``together`` is trained for
three times the steps, so that it sees as many windows of each task as ``apart`` does in its own
run; ``together, steps of one`` for as many steps as one of those. It goes on where it stopped and
writes the result after every cell:

    python -m benchmarks.encoders.multitask --out benchmarks/results/2026-11-28-multitask

The tasks were chosen before any was run: an axis to pull along, one to push along, and a hinge.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cells import FIRST_SEED, Cell, Study, success, write_study

TASKS = ("drawer-open", "button-press", "lever-pull")
METHODS = ("apart", "together", "together, steps of one")
PRESET = ("policy=mp1_mixer",)
STEPS = 1000


def table(cells: Sequence[Cell], steps: int, about: Mapping[str, Any]) -> str:
    """The result as Markdown."""
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    words = ", ".join(f"{key} {value}" for key, value in about["machine"].items())
    rows = [
        f"`{' '.join(PRESET)}`, {steps} steps of 64 windows a policy of one task, on ten "
        f"demonstrations of each task (seeds from 0), training seeds "
        f"{sorted({cell.seed for cell in cells})}; evaluation seeds from {FIRST_SEED}, the last "
        "weights. Success at any step, Wilson 95 % intervals, at the end in brackets. "
        f"{words}, commit {about['commit']}.",
        "",
        "| policy | " + " | ".join(tasks) + " |",
        "|---|" + "---|" * len(tasks),
    ]
    for method in METHODS:
        own = [[c for c in cells if (c.method, c.task) == (method, task)] for task in tasks]
        if any(own):
            rows.append(f"| {method} | " + " | ".join(map(success, own)) + " |")
    return "\n".join(rows) + "\n"


def _cells(study: Study, tasks: Sequence[str], seeds: Sequence[int], steps: int) -> Iterator[Cell]:
    """Trains and evaluates, the policy of all tasks first."""
    of_steps = {"together": len(tasks) * steps, "together, steps of one": steps}
    for seed in seeds:
        for method, count in of_steps.items():
            words = [*PRESET, f"training.steps={count}"]
            folder = method.replace(", ", "-").replace(" ", "-")
            for cell in study.run_several(folder, words, tasks, seed):
                yield Cell(**{**vars(cell), "method": method})
            if method == "together":
                for task in tasks:
                    yield study.run("apart", [*PRESET, f"training.steps={steps}"], task, seed)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="training seeds")
    parser.add_argument("--steps", type=int, default=STEPS, help="of a policy of one task")
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--demonstrations", type=int, default=10)
    parser.add_argument("--work", type=Path, default=Path("runs/multitask"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    work = given.work / str(given.steps)
    study = Study(work, given.episodes, "multitask", demonstrations=given.demonstrations)
    for task in given.tasks:
        study.collect(task)
    finished: list[Cell] = []
    for cell in _cells(study, given.tasks, given.seeds, given.steps):
        finished.append(cell)
        write_study(given.out, finished, given.steps, table)


if __name__ == "__main__":
    main()
