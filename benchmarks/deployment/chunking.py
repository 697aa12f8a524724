"""Success and smoothness of each way to execute chunks, under decisions that come late.

Trains one policy with long chunks on a Meta-World task (80 Hz), then evaluates it on the same seeds
with every execution under every latency, as ``mfpolicy eval RUN execution=… latency_ms=…`` does.
Goes on where it stopped, and writes ``<out>.json`` and ``<out>.md`` beside each other:

    python -m benchmarks.deployment.chunking --out benchmarks/results/2026-11-24-chunking
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.cells import FIRST_SEED, Study, machine, mfpolicy, rate
from mfpolicy.cli.eval import environment_of
from mfpolicy.config import compose
from mfpolicy.evaluation.conditions import Conditions
from mfpolicy.evaluation.records import open_log
from mfpolicy.evaluation.services import EpisodeService
from mfpolicy.evaluation.summary import outcome_fields

LATENCIES_MS = (0, 50, 100, 200, 300)
HORIZON = 32
TRAINING = (
    "policy=mp1_small",
    f"policy.horizon={HORIZON}",
    f"policy.n_action_steps={HORIZON - 1}",
    "seed=0",
)
RTC = {"name": "real_time_chunking"}
EXECUTIONS = {
    "synchronous, 8 of 31": {"name": "receding_horizon", "execute": 8},
    "synchronous, all 31": {"name": "receding_horizon"},
    "asynchronous, cut over": {"name": "receding_horizon", "execute": 8, "asynchronous": True},
    "temporal ensembling": {"name": "temporal_ensembling"},
    "warm start, t = 0.7": {"name": "warm_start"},
    "RTC: blend alone": {**RTC, "candidates": 1},
    "RTC: best of 16 alone": {**RTC, "blend": False},
    "RTC: best of 16 and blend": RTC,
    "RTC: 5 corrections alone": {**RTC, "corrections": 5, "blend": False},
    "RTC: 5 corrections and blend": {**RTC, "corrections": 5},
    "RTC: best of 16 and blend, 4 in flight": {**RTC, "in_flight": 4},
}


@dataclass(frozen=True)
class Row:
    """One execution under one latency."""

    execution: str
    latency_ms: int
    success_any: str
    success_end: str
    successes_any: int
    episodes: int
    rms_jerk_per_s3: float
    holds: float
    steps: float


def evaluated(given: argparse.Namespace, run: Path, name: str, latency_ms: int) -> Row | None:
    """Runs what is missing of one cell, in this process, and sums it up.

    None for a cell that is not complete, where only what is recorded is wanted.
    """
    words = "".join(c if c.isalnum() else "-" for c in name)
    folder = given.work / "cells" / f"{words}-{latency_ms}ms"
    settings = {"execution": EXECUTIONS[name], "latency_ms": latency_ms, "run": str(run)}
    with open_log(folder, settings) as log:
        seeds = range(FIRST_SEED, FIRST_SEED + given.episodes)
        missing = [seed for seed in seeds if seed not in log.results]
        if missing and given.recorded:
            return None
        if missing:
            make_env = environment_of(compose("eval", [str(run)]))
            conditions = Conditions(execution=EXECUTIONS[name], latency_ms=latency_ms)
            service = EpisodeService(run, make_env, conditions)
            for seed in missing:
                log.append(service.run(seed))
            service.close()
        results = [log.results[seed] for seed in seeds]
    found = outcome_fields(results)
    return Row(
        execution=name,
        latency_ms=latency_ms,
        success_any=rate([r.success_any for r in results]),
        success_end=rate([r.success_end for r in results]),
        successes_any=found["success_any"].k,
        episodes=given.episodes,
        rms_jerk_per_s3=found["mean_rms_jerk_per_s3"],
        holds=found["mean_holds"],
        steps=found["mean_steps"],
    )


def _place(row: Row) -> tuple[int, int]:
    """Where a row stands in the table."""
    return list(EXECUTIONS).index(row.execution), row.latency_ms


def table(rows: list[Row], task: str) -> str:
    """The result as Markdown."""
    lines = [
        f"`mp1_small` with a horizon of {HORIZON} (executable chunks of {HORIZON - 1} steps) on "
        f"{task}, 10 demonstrations, seed 0; {rows[0].episodes} episodes a cell, the same seeds "
        f"from {FIRST_SEED}; 80 Hz, {rows[0].steps:.0f} steps an episode. {machine()}.",
        "",
        "Success at any step with the Wilson 95 % interval; root mean square jerk of the commanded "
        "motion, mean over episodes, in 10⁵ action units/s³ (1 unit is 1 cm); steps of an episode "
        "at which no action was there yet. The latency is injected: what the machine needed plays "
        f"no part. {len(rows)} cells of {len(EXECUTIONS) * len(LATENCIES_MS)}.",
        "",
        "| execution | latency, ms | success | jerk | held steps |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.execution} | {row.latency_ms} | {row.success_any} | "
            f"{row.rms_jerk_per_s3 / 1e5:.2f} | {row.holds:.1f} |"
        )
    return "\n".join(lines) + "\n"


def _train(given: argparse.Namespace, run: Path) -> None:
    """Collects demonstrations and trains the policy, unless they are there."""
    Study(given.work, given.episodes, "chunking").collect(given.task)
    mfpolicy(
        *("train", f"task=metaworld/{given.task}", *TRAINING, f"out={run}", "resume=true"),
        *(f"data={given.work / given.task}.zarr", "logging.wandb=disabled"),
        "logging.progress=false",
    )


def main() -> None:
    """Runs what is missing and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="drawer-open")
    parser.add_argument("--episodes", type=int, default=30)
    parser.add_argument("--latencies", type=int, nargs="+", default=LATENCIES_MS, help="in ms")
    parser.add_argument("--executions", nargs="+", choices=EXECUTIONS, default=list(EXECUTIONS))
    parser.add_argument("--recorded", action="store_true", help="run nothing, sum up what is there")
    parser.add_argument("--work", type=Path, default=Path("runs/chunking"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    run = given.work / "runs" / f"mp1_small_{HORIZON}-{given.task}-0"
    if not given.recorded:
        _train(given, run)
    rows = []
    for latency_ms in given.latencies:
        for name in given.executions:
            row = evaluated(given, run, name, latency_ms)
            if row is None:
                continue
            rows.append(row)
            ordered = sorted(rows, key=_place)
            given.out.parent.mkdir(parents=True, exist_ok=True)
            result = json.dumps([asdict(row) for row in ordered], indent=1) + "\n"
            given.out.with_suffix(".json").write_text(result)
            given.out.with_suffix(".md").write_text(table(ordered, given.task))
    print(table(ordered, given.task))


if __name__ == "__main__":
    main()
