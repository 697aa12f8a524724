"""Success of every pair of encoder and network on six Meta-World tasks, against its latency.

Same ten demonstrations, objective (MeanFlow), number of steps and evaluation seeds for all. It goes
on where it stopped, and writes the result after every cell; cells are taken task by task, so that
an unfinished study still compares all of its candidates on the tasks that it has:

    python -m benchmarks.encoders.success --out benchmarks/results/2026-11-27-encoders-success \\
        --latency benchmarks/results/2026-11-27-encoders-latency.json

The tasks were chosen before any was run, one or two of each difficulty and every one with an expert
that succeeds in at least 85 % of episodes: drawer-open and lever-pull (easy), peg-insert-side
(medium), assembly and push (hard), shelf-place (very hard). ``lever-pull`` and ``assembly`` ask for
an orientation or a fit that one maximum over the cloud may lose; ``push`` and ``shelf-place`` for a
place relative to another object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cells import FIRST_SEED, Cell, Study, success, write_study
from benchmarks.encoders.candidates import BASELINE, CANDIDATES, PRESET
from mfpolicy.evaluation.statistics import wilson_interval

TASKS = ("drawer-open", "lever-pull", "peg-insert-side", "assembly", "push", "shelf-place")
STEPS = 1000


def table(cells: Sequence[Cell], steps: int, about: Mapping[str, Any]) -> str:
    """The result as Markdown."""
    tasks = [task for task in TASKS if any(cell.task == task for cell in cells)]
    words = ", ".join(f"{key} {value}" for key, value in about["machine"].items())
    rows = [
        f"`{PRESET}` ({steps} steps of 64) with other encoders and networks, on ten demonstrations "
        f"(seeds from 0), training seeds {sorted({cell.seed for cell in cells})}; evaluation seeds "
        f"from {FIRST_SEED}, the last weights. Success at any step, Wilson 95 % intervals, at the "
        "end in brackets. Training times are of a machine that did other work meanwhile. "
        f"{words}, commit {about['commit']}.",
        "",
        "| encoder+network | " + " | ".join(tasks) + " | training, s |",
        "|---|" + "---|" * (len(tasks) + 1),
    ]
    for name in dict.fromkeys(cell.method for cell in cells):
        shown = [success([c for c in cells if (c.method, c.task) == (name, t)]) for t in tasks]
        spent = [cell.train_seconds for cell in cells if cell.method == name]
        rows.append(f"| {name} | " + " | ".join(shown) + f" | {sum(spent) / len(spent):.0f} |")
    return "\n".join(rows) + "\n"


def pareto(cells: Sequence[Cell], latency: Mapping[str, Any], out: Path) -> None:
    """Draws mean success over the tasks that all candidates have against the time of a decision.

    Of the times that were measured it takes the processor's, which a busy machine changes least.

    Args:
        cells: of the study.
        latency: what ``benchmarks.encoders.latency`` wrote.
        out: the picture.
    """
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(cell.method for cell in cells))
    have = [{cell.task for cell in cells if cell.method == name} for name in names]
    common = set.intersection(*have)
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name in names:
        times = [row["cpu_ms"] for row in latency["rows"] if row["candidate"] == name]
        flags = [
            up
            for cell in cells
            if cell.method == name and cell.task in common
            for up in cell.success_any
        ]
        if not times or not flags:
            continue
        color = "tab:red" if name == BASELINE else "tab:blue"
        at = (min(times), 100 * sum(flags) / len(flags))
        low, high = (100 * bound for bound in wilson_interval(sum(flags), len(flags)))
        axes.errorbar(*at, yerr=[[at[1] - low], [high - at[1]]], fmt="o", color=color, capsize=3)
        axes.annotate(name, at, textcoords="offset points", xytext=(7, 4), fontsize=8)
    axes.set_xlim(0, 1.4 * axes.dataLim.x1)  # room for the names
    axes.set_ylim(0, 100)
    axes.set_title(", ".join(sorted(common)), fontsize=9)
    axes.set_xlabel("processor time of a decision on its faster backend, median, ms")
    axes.set_ylabel("success at any step, mean over the tasks, %")
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(out, dpi=110)


def main() -> None:
    """Runs what is missing and writes the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--candidates", nargs="+", default=list(CANDIDATES), choices=CANDIDATES)
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="training seeds")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2, help="cells at a time")
    parser.add_argument("--work", type=Path, default=Path("runs/encoders"))
    parser.add_argument("--latency", type=Path, help="JSON of benchmarks.encoders.latency")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    study = Study(given.work / str(given.steps), given.episodes, "encoders")
    common = [f"policy={PRESET}", f"training.steps={given.steps}"]
    latency = json.loads(given.latency.read_text()) if given.latency else None
    finished: list[Cell] = []
    for task in given.tasks:
        study.collect(task)
        wanted = [
            (name, [*common, *CANDIDATES[name]], task, seed)
            for seed in given.seeds
            for name in given.candidates
        ]
        for cell in study.run_all(wanted, given.workers):
            finished.append(cell)
            write_study(given.out, finished, given.steps, table)
            if latency is not None:
                pareto(finished, latency, given.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
