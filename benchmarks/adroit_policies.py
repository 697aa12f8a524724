"""Success on Adroit of small policies, trained on 10 and on 50 of our experts' demonstrations.

``mp1_small`` has a U-Net, ``mp1_mixer`` an MLP-Mixer.

Collects, trains and evaluates each task in turn, two cells at a time with one thread each. It goes
on where it stopped, and writes the result after every cell:

    python -m benchmarks.adroit_policies --out benchmarks/results/2026-11-27-adroit-policies

Success is DP3's rule; MP1's figures are the ones that its paper reports for 10 demonstrations.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.cells import FIRST_SEED, Cell, Study, machine, rate
from benchmarks.provenance import commit

TASKS = ("door", "hammer", "pen", "relocate")
DEMONSTRATIONS = (10, 50)
METHODS = ("mp1_small", "mp1_mixer")
PUBLISHED = {"door": "69 ± 2", "hammer": "100 ± 0", "pen": "58 ± 5"}  # MP1, table 1


def table(cells: dict[int, list[Cell]], steps: int, commit: str) -> str:
    """The result as Markdown."""
    rows = [
        f"Policies ({steps} steps of 64) on demonstrations of our experts (seeds from 0), one "
        f"training seed; evaluation seeds from {FIRST_SEED}, the last weights, 1 network "
        "evaluation a chunk. Wilson 95 % intervals. MP1's column is its paper's, on demonstrations "
        "of other experts, by the mean of its five best evaluations. Times are of the machine as "
        f"it was, with whatever else it did. {machine()}; written at commit {commit}.",
        "",
        "| task | demonstrations | policy | at the end | at any step | training, s | MP1, % |",
        "|---|---|---|---|---|---|---|",
    ]
    ordered = [
        (task, count, cell)
        for task in TASKS
        for count, found in cells.items()
        for cell in found
        if cell.task == task
    ]
    rows += [
        f"| {task} | {count} | {cell.method} | {rate(cell.success_end)} | {rate(cell.success_any)} "
        f"| {cell.train_seconds:.0f} | {PUBLISHED.get(task, '') if count == 10 else ''} |"
        for task, count, cell in ordered
    ]
    return "\n".join(rows) + "\n"


def main() -> None:
    """Runs what is missing and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    parser.add_argument("--demonstrations", nargs="+", type=int, default=DEMONSTRATIONS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--work", type=Path, default=Path("runs/adroit"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    cells: dict[int, list[Cell]] = {}
    for count in given.demonstrations:
        study = Study(
            given.work / str(count),
            given.episodes,
            "adroit",
            suite="adroit",
            demonstrations=count,
            videos=True,
        )
        for task in given.tasks:
            study.collect(task)
        wanted = [
            (method, [f"policy={method}", f"training.steps={given.steps}"], task, 0)
            for task in given.tasks
            for method in given.methods
        ]
        for cell in study.run_all(wanted):
            cells.setdefault(count, []).append(cell)
            _write(given.out, cells, given.steps)


def _write(out: Path, cells: dict[int, list[Cell]], steps: int) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    record = {count: [asdict(cell) for cell in found] for count, found in cells.items()}
    out.with_suffix(".json").write_text(json.dumps(record) + "\n")
    out.with_suffix(".md").write_text(table(cells, steps, commit()))


if __name__ == "__main__":
    main()
