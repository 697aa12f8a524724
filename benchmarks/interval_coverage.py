"""How often the intervals of means over tasks cover, and those of a stratified bootstrap.

Outcomes of eight tasks whose logits vary by training seed and by initial state, of spread rates or
all but one saturated; two methods of the same kind, whose true difference is nothing:

    python -m benchmarks.interval_coverage --out benchmarks/results/2026-11-27-interval-coverage
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.special import expit, logit

from benchmarks.provenance import provenance
from mfpolicy.evaluation.aggregates import Cell, mean_difference, mean_rate

RATES = {
    "spread": np.array([0.999, 0.99, 0.97, 0.95, 0.9, 0.8, 0.6, 0.4]),
    "saturated": np.array([*[1.0] * 7, 0.5]),
}
"""Of the tasks, where nothing varies."""
CONDITIONS = (
    *(("spread", spread) for spread in ((0.0, 0.0), (0.0, 2.0), (0.5, 1.0), (1.0, 1.0))),
    *(("saturated", spread) for spread in ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))),
)
"""Rates; standard deviation of the logit by training seed and by initial state."""
SEEDS = (1, 2, 3)
DRAWS = 300


def outcomes(
    rng: np.random.Generator, rates: np.ndarray, seeds: int, states: np.ndarray, by_training: float
) -> np.ndarray:
    """(8, seeds, episodes) bool; ``states`` (8, 1, episodes) shift the logits of all seeds."""
    shift = states + by_training * rng.normal(size=(len(rates), seeds, 1))
    return rng.random(shift.shape) < expit(logit(rates)[:, None, None] + shift)


def cells(table: np.ndarray) -> dict[str, Cell]:
    """As :func:`mfpolicy.evaluation.aggregates.mean_rate` takes them."""
    return {
        str(task): {seed: dict(enumerate(row)) for seed, row in enumerate(each)}
        for task, each in enumerate(table.tolist())
    }


def bootstrap(rng: np.random.Generator, table: np.ndarray) -> tuple[float, float]:
    """Percentiles of the mean with the runs of every task resampled (Agarwal et al. 2021)."""
    tasks, seeds, _ = table.shape
    runs = table.mean(axis=2)  # (tasks, seeds)
    chosen = rng.integers(0, seeds, (DRAWS, tasks, seeds))
    means = np.take_along_axis(runs[None], chosen, axis=2).mean(axis=(1, 2))
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def coverage(
    seeds: int, tasks: str, spread: tuple[float, float], episodes: int, trials: int
) -> dict:
    """Shares of the trials in which each interval holds what is true."""
    rng = np.random.default_rng(0)
    rates, (by_training, by_state) = RATES[tasks], spread
    shift = np.hypot(by_training, by_state) * rng.normal(size=(len(rates), 400_000))
    truth = float(expit(logit(rates)[:, None] + shift).mean())
    held = dict.fromkeys(("mean", "difference", "bootstrap"), 0)
    for _ in range(trials):
        states = by_state * rng.normal(size=(len(rates), 1, episodes))
        a, b = (outcomes(rng, rates, seeds, states, by_training) for _ in range(2))
        intervals = {
            "mean": (mean_rate(cells(a)).interval, truth),
            "difference": (mean_difference(cells(a), cells(b)).interval, 0.0),
            "bootstrap": (bootstrap(rng, a), truth),
        }
        for name, ((low, high), true) in intervals.items():
            held[name] += low <= true <= high
    shares = {name: count / trials for name, count in held.items()}
    about = {"by_training": by_training, "by_state": by_state}
    return {"training_seeds": seeds, "rates": tasks, **about, **shares}


def table(rows: list[dict], episodes: int, trials: int, about: dict) -> str:
    """The result as Markdown."""
    lines = [
        f"Share of {trials} trials in which 95 % intervals hold the truth: eight tasks, "
        f"{episodes} episodes on initial states that training seeds and methods share. Rates, "
        "where nothing varies: spread from 0.4 to 0.999, or saturated: one of 0.5, seven of 1. "
        "Logits vary with the standard deviations given. Mean and "
        "difference: mfpolicy.evaluation.aggregates; bootstrap: of the mean, over runs, stratified "
        f"by task, {DRAWS} draws. Commit {about['commit']}.",
        "",
        "| training seeds | rates | by training seed | by initial state | mean | difference "
        "| bootstrap |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        shares = " | ".join(f"{row[name]:.3f}" for name in ("mean", "difference", "bootstrap"))
        lines.append(
            f"| {row['training_seeds']} | {row['rates']} | {row['by_training']} "
            f"| {row['by_state']} | {shares} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Runs all conditions and writes the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--episodes", type=int, default=60)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    about = provenance()
    rows = [
        coverage(seeds, tasks, spread, given.episodes, given.trials)
        for seeds in SEEDS
        for tasks, spread in CONDITIONS
    ]
    content = {**about, "episodes": given.episodes, "trials": given.trials, "rows": rows}
    given.out.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    given.out.with_suffix(".md").write_text(table(rows, given.episodes, given.trials, about))


if __name__ == "__main__":
    main()
