"""A second camera: success of the default preset with clouds of two cameras, joined or apart.

The camera of the suite, ``corner2``, and ``topview`` beside it; the same ten demonstrations' seeds,
256 points, training and evaluation seeds as the records of one camera (``records/current``), with
which they are compared. It goes on where it stopped, and writes the result after every cell:

    python -m benchmarks.encoders.cameras --out benchmarks/results/2026-11-28-cameras

The tasks are those of six on which one camera leaves most to gain.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cells import FIRST_SEED, Cell, Study, mfpolicy, paired, success, write_study
from benchmarks.encoders.candidates import BASELINE, PRESET
from benchmarks.encoders.success import outcomes, records

TASKS = ("lever-pull", "peg-insert-side", "shelf-place")
CLOUDS = {"merged": (), "apart": ("points=512",)}
"""How the clouds are put together, and what `mfpolicy collect` is told besides."""
POINTS = "policy.points=256"
STEPS = 1000


class TwoCameras(Study):
    """Cells of clouds of two cameras, put together as the study's name says."""

    def collect(self, task: str) -> None:
        """Collects the demonstrations of a task, unless they are there."""
        mfpolicy(
            *("collect", f"task={self.suite}/{task}", f"episodes={self.demonstrations}", "seed=0"),
            *(f"out={self.work / task}.zarr", "cameras=[corner2,topview]"),
            *(f"clouds={self.name}", *CLOUDS[self.name]),
        )


def table(cells: Sequence[Cell], steps: int, about: Mapping[str, Any]) -> str:
    """The result as Markdown."""
    one = outcomes(records(BASELINE))
    words = ", ".join(f"{key} {value}" for key, value in about["machine"].items())
    lines = [
        f"`{PRESET}` ({steps} steps of 64), ten demonstrations (seeds from 0), 256 points of two "
        "cameras, `corner2` and `topview`: `merged` into one cloud or kept `apart`, an encoder of "
        f"each. Evaluation seeds from {FIRST_SEED}, the last weights; success at any step with "
        "Wilson's 95 % interval, at the end in brackets; paired difference to one camera "
        "(`records/current`) with Newcombe's interval and McNemar's exact p over all pairs, of "
        f"which those of one evaluation seed are not independent. {words}, commit "
        f"{about['commit']}.",
        "",
        "| clouds | task | training seeds | two cameras | one camera | difference, % |",
        "|---|---|---|---|---|---|",
    ]
    for clouds in dict.fromkeys(cell.method for cell in cells):
        own = [cell for cell in cells if cell.method == clouds]
        for task in dict.fromkeys(cell.task for cell in own):
            lines.append(_row(clouds, task, [c for c in own if c.task == task], one))
        lines.append(_row(clouds, "all", own, one))
    return "\n".join(lines) + "\n"


def _row(clouds: str, task: str, own: Sequence[Cell], one: Mapping[str, Any]) -> str:
    ours: dict[int, bool] = {}
    other: dict[int, bool] = {}
    for place, cell in enumerate(own):
        for episode, up in enumerate(cell.success_any):
            ours[10**6 * place + episode] = up
            other[10**6 * place + episode] = one[cell.task][cell.seed][FIRST_SEED + episode]
    seeds = ", ".join(map(str, sorted({cell.seed for cell in own})))
    before = f"{sum(other.values())}/{len(other)}"
    shown = [clouds, task, seeds, success(own), before, paired(ours, other)]
    return "| " + " | ".join(shown) + " |"


def main() -> None:
    """Runs what is missing and writes the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1], help="training seeds")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2, help="cells at a time")
    parser.add_argument("--work", type=Path, default=Path("runs/cameras"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    finished: list[Cell] = []
    for clouds in CLOUDS:
        study = TwoCameras(given.work / clouds, given.episodes, clouds)
        for task in given.tasks:
            study.collect(task)
        words = [f"policy={PRESET}", f"training.steps={given.steps}", POINTS]
        wanted = [(clouds, words, task, seed) for task in given.tasks for seed in given.seeds]
        for cell in study.run_all(wanted, given.workers):
            finished.append(cell)
            write_study(given.out, finished, given.steps, table)


if __name__ == "__main__":
    main()
