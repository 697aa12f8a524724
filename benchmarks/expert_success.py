"""How often each task's expert succeeds, and how many steps it needs; physics only.

    python benchmarks/expert_success.py --seeds 20 --steps 500 --out benchmarks/results/NAME

writes NAME.json (every seed) and NAME.md (a table). Success is the task's flag at any step, or at
the last step of the horizon where that is said: some experts go on past their target.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import envs
from mfpolicy.types import TaskSpec

FIRST_SEED = 0


def attempt(simulation: Any, seed: int, steps: int, horizon: int) -> tuple[int | None, bool]:
    """The step (from 1) of the first success within ``steps``, and the flag at the horizon."""
    simulation.reset(seed)
    first, at_horizon = None, False
    for step in range(1, steps + 1):
        success = simulation.step(simulation.expert_action()).success
        if success and first is None:
            first = step
        if step == horizon:
            at_horizon = bool(success)
        if first is not None and step >= horizon:
            break
    return first, at_horizon


def measure(task: TaskSpec, seeds: int, steps: int) -> dict[str, Any]:
    """One task's record: when each seed first succeeded, and rates within horizon and steps."""
    simulation = envs.open_simulation(task.name)
    attempts = [
        attempt(simulation, FIRST_SEED + index, steps, task.horizon) for index in range(seeds)
    ]
    simulation.close()
    first = [step for step, _ in attempts]
    reached = [step for step in first if step is not None]
    return {
        "task": task.name,
        "difficulty": task.difficulty,
        "horizon": task.horizon,
        "rate_within_horizon": sum(step <= task.horizon for step in reached) / seeds,
        f"rate_within_{steps}": len(reached) / seeds,
        "rate_at_horizon": sum(flag for _, flag in attempts) / seeds,
        "first_success_step": first,
    }


def table(records: list[dict[str, Any]], header: dict[str, Any]) -> str:
    """The records as a Markdown table, lowest rate first."""
    steps = header["steps"]
    lines = [f"# Success of the scripted experts, {header['date']}", ""]
    lines += [f"- {key}: {value}" for key, value in header.items() if key != "date"]
    mean = sum(record["rate_within_horizon"] for record in records) / len(records)
    lines += ["", f"Mean within the horizon: {mean:.1%} over {len(records)} tasks.", ""]
    lines += [
        f"| task | difficulty | horizon | within horizon | within {steps} | at the horizon's end "
        "| first success, median "
        "| slowest |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for record in sorted(records, key=lambda each: (each["rate_within_horizon"], each["task"])):
        reached = sorted(step for step in record["first_success_step"] if step is not None)
        middle, slowest = (reached[len(reached) // 2], reached[-1]) if reached else ("–", "–")
        lines.append(
            f"| {record['task']} | {record['difficulty']} | {record['horizon']} "
            f"| {record['rate_within_horizon']:.0%} | {record[f'rate_within_{steps}']:.0%} "
            f"| {record['rate_at_horizon']:.0%} | {middle} | {slowest} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures every task and writes both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    arguments = parser.parse_args()
    started, records = time.perf_counter(), []
    for task in envs.tasks():
        records.append(measure(task, arguments.seeds, arguments.steps))
        print(f"{task.name:40s} {records[-1]['rate_within_horizon']:.0%}", flush=True)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    header = {
        "date": time.strftime("%Y-%m-%d"),
        "command": f"python benchmarks/expert_success.py --seeds {arguments.seeds} "
        f"--steps {arguments.steps}",
        "commit": commit.stdout.strip() or "unknown",
        "seeds": f"{FIRST_SEED} to {FIRST_SEED + arguments.seeds - 1}",
        "steps": arguments.steps,
        "metaworld": version("metaworld"),
        "mujoco": version("mujoco"),
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "seconds": round(time.perf_counter() - started),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.with_suffix(".md").write_text(table(records, header), encoding="utf-8")
    arguments.out.with_suffix(".json").write_text(
        json.dumps({**header, "tasks": records}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
