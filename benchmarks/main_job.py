"""Success of one preset over tasks and training seeds: collect, train and evaluate each cell.

Runs the same commands as ``scripts/quickstart.sh``, two cells at a time with one thread each, and
goes on where it stopped. Writes ``<name>.json`` and ``<name>.md`` beside each other:

    python -m benchmarks.main_job --out benchmarks/results/2026-11-24-main-job

Figures of 50 episodes are the first 50 of the 200: the same seeds that the quickstart evaluates.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.cells import FIRST_SEED, Cell, Study, machine, rate

TASKS = ("drawer-open", "button-press", "door-open", "pick-place")
SHORT = 50


def table(cells: list[Cell], preset: str) -> str:
    """The result as Markdown."""
    rows = [
        f"`{preset}`, 10 demonstrations (seeds from 0), evaluation seeds from {FIRST_SEED}; "
        f"success at any step unless said; Wilson 95 % intervals. {machine()}, "
        "two cells at a time, one thread each.",
        "",
        f"| task | training seed | first {SHORT} episodes | all episodes | all, at the end | "
        "training, s |",
        "|---|---|---|---|---|---|",
    ]
    for task in dict.fromkeys(cell.task for cell in cells):
        own = [cell for cell in cells if cell.task == task]
        for cell in own:
            rows.append(
                f"| {task} | {cell.seed} | {rate(cell.success_any[:SHORT])} | "
                f"{rate(cell.success_any)} | {rate(cell.success_end)} | {cell.train_seconds:.0f} |"
            )
        pooled = (
            rate([flag for cell in own for flag in cell.success_any[:SHORT]]),
            rate([flag for cell in own for flag in cell.success_any]),
            rate([flag for cell in own for flag in cell.success_end]),
        )
        rows.append(f"| **{task}** | all | " + " | ".join(pooled) + " | |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Runs what is missing and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="mp1_small")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--work", type=Path, default=Path("runs/main_job"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    study = Study(given.work, given.episodes, "main_job")
    for task in given.tasks:
        study.collect(task)
    overrides = [f"policy={given.preset}"]
    wanted = [(given.preset, overrides, task, seed) for seed in given.seeds for task in given.tasks]
    cells = list(study.run_all(wanted))
    cells.sort(key=lambda cell: (given.tasks.index(cell.task), cell.seed))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.with_suffix(".json").write_text(json.dumps([asdict(cell) for cell in cells]) + "\n")
    given.out.with_suffix(".md").write_text(table(cells, given.preset))
    print(table(cells, given.preset))


if __name__ == "__main__":
    main()
