"""Time from nothing to 90 % success on drawer-open: collect, train on a budget in time, evaluate.

Doubles the training budget until the success rate of the last weights reaches the target. Each
training is a run of its own with a schedule that ends when its budget does. Cold start: the time of
collecting and of every process's start counts, that of evaluating does not.

    python -m benchmarks.training.time_to_success \
        --out benchmarks/results/2026-11-24-training-time-to-success
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.cells import FIRST_SEED, machine, rate

TASK = "drawer-open"


@dataclass(frozen=True)
class Attempt:
    """One budget and what it led to."""

    budget_s: int
    collect_s: float
    train_s: float
    steps: int
    success_any: list[bool]


def timed(*words: str) -> float:
    """Runs one command of the package and returns its seconds, process start included."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "mfpolicy", *words], check=True)
    return time.perf_counter() - started


def attempt(work: Path, budget_s: int, collect_s: float, episodes: int, seed: int) -> Attempt:
    """Trains for the budget and evaluates."""
    run = work / f"run-{budget_s}s-{seed}"
    train_s = timed(
        *("train", f"task=metaworld/{TASK}", f"data={work / TASK}.zarr", f"out={run}"),
        "policy=mp1_small",
        *(f"budget={budget_s}s", f"seed={seed}", "logging.wandb=disabled"),
        "logging.progress=false",
    )
    timed("eval", str(run), f"episodes={episodes}", f"seed={FIRST_SEED}", "videos=false", "name=t")
    lines = (run / "eval" / "t" / "episodes.jsonl").read_text().splitlines()
    steps = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"]
    flags = [json.loads(line)["success_any"] for line in lines]
    return Attempt(budget_s, round(collect_s, 1), round(train_s, 1), steps, flags)


def table(attempts: list[Attempt], target: float) -> str:
    """The result as Markdown."""
    rows = [
        f"`mp1_small` on {TASK}, ten demonstrations, budgets in time until {100 * target:.0f} % of "
        f"{len(attempts[0].success_any)} unseen episodes succeed; {machine()}.",
        "",
        "| budget, s | collect, s | train, s | cold start to policy, s | steps | success |",
        "|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {a.budget_s} | {a.collect_s} | {a.train_s} | {a.collect_s + a.train_s:.0f} | "
        f"{a.steps} | {rate(a.success_any)} |"
        for a in attempts
    ]
    return "\n".join(rows) + "\n"


def main() -> None:
    """Runs the attempts and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/time_to_success"))
    parser.add_argument("--first-budget", type=int, default=15)
    parser.add_argument("--last-budget", type=int, default=240)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--target", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    collect_s = timed(
        *("collect", f"task=metaworld/{TASK}", "episodes=10", "seed=0"),
        f"out={given.work / TASK}.zarr",
    )
    attempts: list[Attempt] = []
    budget = given.first_budget
    while budget <= given.last_budget:
        attempts.append(attempt(given.work, budget, collect_s, given.episodes, given.seed))
        if sum(attempts[-1].success_any) >= given.target * given.episodes:
            break
        budget *= 2
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.with_suffix(".json").write_text(json.dumps([asdict(a) for a in attempts]) + "\n")
    given.out.with_suffix(".md").write_text(table(attempts, given.target))
    print(table(attempts, given.target))


if __name__ == "__main__":
    main()
