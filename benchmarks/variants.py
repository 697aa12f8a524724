"""A study of what one change of a preset does: same data, seeds and number of steps, paired.

Each variant is compared with its own baseline over the pairs of training and evaluation seed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cells import FIRST_SEED, Cell, Study, rate, write_study
from mfpolicy.evaluation.statistics import compare_paired


@dataclass(frozen=True)
class Variants:
    """What is compared.

    Attributes:
        name: of the study and of its evaluations. what: the heading of the variants' column.
        preset: that all change. tasks: of Meta-World. steps: of training.
        overrides: of the preset, by variant.
        baseline: the variant that a variant is compared with; the baseline's is itself.
        more: a last paragraph of the table.
    """

    name: str
    what: str
    preset: str
    tasks: tuple[str, ...]
    steps: int
    overrides: Mapping[str, Sequence[str]]
    baseline: Callable[[str], str]
    more: str = ""

    def table(self, cells: Sequence[Cell], steps: int, about: Mapping[str, Any]) -> str:
        """The result as Markdown."""
        seeds = sorted({cell.seed for cell in cells})
        rows = [
            f"`{self.preset}` ({steps} steps of 64) on ten demonstrations (the same, seeds from "
            f"0), training seeds {seeds}; evaluation seeds from {FIRST_SEED}, the last weights. "
            "Wilson 95 % intervals of success; difference to the baseline over the pairs of "
            "training and evaluation seed, with Newcombe's 95 % interval and McNemar's exact p. "
            "Pairs that share an evaluation seed are not independent. Samples per second are of a "
            f"machine that may have been busy. {_in_words(about)}.",
            "",
            f"| task | {self.what} | any step | at the end | baseline | change, % | p "
            "| samples/s |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for task in dict.fromkeys(cell.task for cell in cells):
            for variant in dict.fromkeys(cell.method for cell in cells):
                own = [cell for cell in cells if (cell.task, cell.method) == (task, variant)]
                if own:
                    rows.append(self._row(task, variant, own, cells))
        return "\n".join(rows) + "\n" + (f"\n{self.more}\n" if self.more else "")

    def _row(self, task: str, variant: str, own: Sequence[Cell], cells: Sequence[Cell]) -> str:
        success = [up for cell in own for up in cell.success_any]
        ended = sum(up for cell in own for up in cell.success_end)
        baseline = self.baseline(variant)
        reference = [cell for cell in cells if (cell.task, cell.method) == (task, baseline)]
        compared = ["", "", ""]
        if reference and variant != baseline:
            pair = compare_paired(_by_seeds(own), _by_seeds(reference))
            low, high = (100 * bound for bound in pair.interval)
            change = f"{100 * pair.difference:+.1f} [{low:+.0f}, {high:+.0f}]"
            compared = [baseline, change, f"{pair.p_value:.2g}"]
        speed = sorted(cell.samples_per_s for cell in own)[len(own) // 2]
        shown = [task, variant, rate(success), f"{ended}/{len(success)}", *compared, f"{speed:.0f}"]
        return "| " + " | ".join(shown) + " |"

    def run(self, description: str) -> None:
        """Reads the command line, runs what is missing and writes the result after each cell."""
        parser = argparse.ArgumentParser(description=description.splitlines()[0])
        names = tuple(self.overrides)
        parser.add_argument("--tasks", nargs="+", default=self.tasks)
        parser.add_argument("--variants", nargs="+", default=names, choices=names)
        parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="training seeds")
        parser.add_argument("--steps", type=int, default=self.steps)
        parser.add_argument("--episodes", type=int, default=100)
        parser.add_argument("--workers", type=int, default=2, help="cells at a time")
        parser.add_argument("--work", type=Path, default=Path(f"runs/{self.name}"))
        parser.add_argument("--out", type=Path, required=True)
        given = parser.parse_args()
        study = Study(given.work, given.episodes, self.name)
        for task in given.tasks:
            study.collect(task)
        common = [f"policy={self.preset}", f"training.steps={given.steps}"]
        wanted = [
            (variant, [*common, *self.overrides[variant]], task, seed)
            for task in given.tasks
            for seed in given.seeds
            for variant in given.variants
        ]
        finished: list[Cell] = []
        for cell in study.run_all(wanted, given.workers):
            finished.append(cell)
            write_study(given.out, finished, given.steps, self.table)


def _by_seeds(cells: Sequence[Cell]) -> dict[int, bool]:
    """Success by training and evaluation seed, as one number."""
    return {
        cell.seed * 10**6 + FIRST_SEED + place: up
        for cell in cells
        for place, up in enumerate(cell.success_any)
    }


def _in_words(about: Mapping[str, Any]) -> str:
    facts = {**about["machine"], **about["packages"], "commit": about["commit"]}
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value)
