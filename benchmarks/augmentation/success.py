"""Success on Meta-World with each augmentation on and off: same data, seeds and number of steps.

Trains ``mp1_mixer`` on ten demonstrations without augmentation, with each one at its default
strength, and with all of them; with colors and without. Each cell is evaluated on the same unseen
seeds and compared with its own baseline seed by seed. It goes on where it stopped, and writes the
result after every cell:

    python -m benchmarks.augmentation.success --out benchmarks/results/2026-11-27-augmentation

The evaluation shows clouds as training saw them before augmentation: what is measured is the effect
where nothing has changed, not how a policy bears another camera, light or box.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cells import FIRST_SEED, Cell, Study, rate, write_study
from mfpolicy.config import compose
from mfpolicy.data import augment
from mfpolicy.evaluation.statistics import compare_paired

PRESET = "mp1_mixer"
TASKS = ("lever-pull",)
STEPS = 500
NONE, COLOR, ALL = "none", "color", "all"
ON_COLORS = ("color_jitter",)
"""Augmentations that need a policy that sees colors; their baseline is ``color``."""
PLAIN = tuple(name for name in augment.names() if name not in ON_COLORS)
VARIANTS = (NONE, *PLAIN, ALL, COLOR, *ON_COLORS)


def overrides_of(variant: str) -> list[str]:
    """What the variant changes of the preset.

    Example:
        >>> overrides_of("color_jitter")
        ['policy.color=true', 'augment.color_jitter.enabled=true']
    """
    names = PLAIN if variant == ALL else [variant] if variant in augment.names() else []
    colored = ["policy.color=true"] if variant in (COLOR, *ON_COLORS) else []
    return colored + [f"augment.{name}.enabled=true" for name in names]


def baseline_of(variant: str) -> str:
    """The variant that it is compared with."""
    return COLOR if variant in ON_COLORS else NONE


def table(cells: Sequence[Cell], steps: int, about: Mapping[str, Any]) -> str:
    """The result as Markdown."""
    seeds = sorted({cell.seed for cell in cells})
    rows = [
        f"`{PRESET}` ({steps} steps of 64) on ten demonstrations (the same, seeds from 0), "
        f"training seeds {seeds}; evaluation seeds from {FIRST_SEED}, the last weights. Wilson "
        "95 % intervals of success; difference to the baseline over the pairs of training and "
        "evaluation seed, with Newcombe's 95 % interval and McNemar's exact p. Pairs that share an "
        "evaluation seed are not independent. Samples per second are of a machine that may have "
        f"been busy. {_in_words(about)}.",
        "",
        "| task | augmentation | any step | at the end | baseline | change, % | p | samples/s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for task in dict.fromkeys(cell.task for cell in cells):
        for variant in dict.fromkeys(cell.method for cell in cells):
            own = [cell for cell in cells if (cell.task, cell.method) == (task, variant)]
            if own:
                rows.append(_row(task, variant, own, cells))
    return "\n".join(rows) + "\n\n" + _strengths() + "\n"


def _row(task: str, variant: str, own: Sequence[Cell], cells: Sequence[Cell]) -> str:
    success = [up for cell in own for up in cell.success_any]
    ended = sum(up for cell in own for up in cell.success_end)
    baseline = baseline_of(variant)
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


def _strengths() -> str:
    """The options of each augmentation as the study has them."""
    config = compose("train", ["task=a/b", "data=d", "out=o", f"policy={PRESET}"])
    lines = [
        f"- {name}: "
        + ", ".join(f"{key} {value}" for key, value in options.items() if key != "enabled")
        for name, options in config.augment.items()
    ]
    return "Strengths:\n\n" + "\n".join(lines)


def main() -> None:
    """Runs what is missing and writes the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--variants", nargs="+", default=VARIANTS, choices=VARIANTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="training seeds")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2, help="cells at a time")
    parser.add_argument("--work", type=Path, default=Path("runs/augmentation"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    study = Study(given.work, given.episodes, "augmentation")
    for task in given.tasks:
        study.collect(task)
    common = [f"policy={PRESET}", f"training.steps={given.steps}"]
    wanted = [
        (variant, [*common, *overrides_of(variant)], task, seed)
        for task in given.tasks
        for seed in given.seeds
        for variant in given.variants
    ]
    finished: list[Cell] = []
    for cell in study.run_all(wanted, given.workers):
        finished.append(cell)
        write_study(given.out, finished, given.steps, table)


if __name__ == "__main__":
    main()
