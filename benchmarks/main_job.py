"""Success of one preset over tasks and training seeds: collect, train and evaluate each cell.

Runs the same commands as ``scripts/quickstart.sh``, two cells at a time with one thread each, and
goes on where it stopped. Writes ``<name>.json`` and ``<name>.md`` beside each other:

    python benchmarks/main_job.py --out benchmarks/results/2026-11-24-main-job

Figures of 50 episodes are the first 50 of the 200: the same seeds that the quickstart evaluates.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from mfpolicy.evaluation.statistics import wilson_interval

TASKS = ("drawer-open", "button-press", "door-open", "pick-place")
FIRST_SEED = 10_000
SHORT = 50


@dataclass(frozen=True)
class Cell:
    """One trained policy and its episodes."""

    task: str
    seed: int
    success_any: list[bool]
    success_end: list[bool]
    train_seconds: float
    samples_per_s: float


def mfpolicy(*words: str) -> None:
    """Runs one command of the package with one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "mfpolicy", *words], check=True, env=environment)


def run_cell(work: Path, preset: str, task: str, seed: int, episodes: int) -> Cell:
    """Trains and evaluates one cell, or reads what an earlier call left."""
    run = work / "runs" / f"{preset}-{task}-{seed}"
    record = run / "cell_time.json"
    name = f"task=metaworld/{task}"
    mfpolicy(
        *("train", name, f"policy={preset}", f"data={work / task}.zarr", f"out={run}"),
        *(f"seed={seed}", "resume=true", "logging.wandb=disabled", "logging.progress=false"),
    )
    if not record.is_file():
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        rates = sorted(line["samples_per_s"] for line in lines)
        record.write_text(json.dumps({"samples_per_s": rates[len(rates) // 2]}))
    mfpolicy(
        *("eval", str(run), f"episodes={episodes}", f"seed={FIRST_SEED}", "workers=1"),
        *("videos=false", "name=main_job"),
    )
    path = run / "eval" / "main_job" / "episodes.jsonl"
    results = sorted(
        (json.loads(x) for x in path.read_text().splitlines()), key=lambda r: r["seed"]
    )
    rate = json.loads(record.read_text())["samples_per_s"]
    config = (run / "config.yaml").read_text()
    steps, batch = (int(_value(config, key)) for key in ("steps", "batch_size"))
    return Cell(
        task=task,
        seed=seed,
        success_any=[r["success_any"] for r in results[:episodes]],
        success_end=[r["success_end"] for r in results[:episodes]],
        train_seconds=round(steps * batch / rate, 1),
        samples_per_s=rate,
    )


def _value(config: str, key: str) -> str:
    return next(x for x in config.splitlines() if x.strip().startswith(f"{key}:")).split(":")[1]


def rate(flags: list[bool]) -> str:
    """Successes of episodes with the Wilson 95 % interval."""
    interval = wilson_interval(sum(flags), len(flags))
    low, high = (100 * bound for bound in interval)
    return (
        f"{sum(flags)}/{len(flags)} = {100 * sum(flags) / len(flags):.1f} % [{low:.0f}, {high:.0f}]"
    )


def table(cells: list[Cell], preset: str) -> str:
    """The result as Markdown."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    rows = [
        f"`{preset}`, 10 demonstrations (seeds from 0), evaluation seeds from {FIRST_SEED}; "
        f"success at any step unless said; Wilson 95 % intervals. {machine}, "
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
    for task in given.tasks:
        data = f"{given.work / task}.zarr"
        mfpolicy("collect", f"task=metaworld/{task}", "episodes=10", "seed=0", f"out={data}")
    with ThreadPoolExecutor(max_workers=2) as pool:
        waiting = [
            pool.submit(run_cell, given.work, given.preset, task, seed, given.episodes)
            for seed in given.seeds
            for task in given.tasks
        ]
        cells = [future.result() for future in waiting]
    cells.sort(key=lambda cell: (given.tasks.index(cell.task), cell.seed))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.with_suffix(".json").write_text(json.dumps([asdict(cell) for cell in cells]) + "\n")
    given.out.with_suffix(".md").write_text(table(cells, given.preset))
    print(table(cells, given.preset))


if __name__ == "__main__":
    main()
