"""How fast demonstrations of Adroit are made, and where the milliseconds of a step go.

    python -m benchmarks.adroit_speed --out benchmarks/results/NAME

For each task: episodes of its expert with a cloud at every step, as `mfpolicy collect`
records them (one process, colors and full state stored), and the median time of each stage of a
control step.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import envs
from mfpolicy.data.collect import collect
from mfpolicy.evaluation.machine import machine_facts

TASKS = ("door", "hammer", "pen", "relocate")
STAGES = ("expert", "physics", "render", "points")


def stages(task: str, seed: int) -> dict[str, Any]:
    """Median milliseconds of each stage over one episode of the expert."""
    env = envs.make(task)
    env.reset(seed=seed)
    taken: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for _ in range(env.spec_task.horizon):
        action, expert_ms = timed(env.expert_action)
        (_, terminated, _, _), physics_ms = timed(functools.partial(env.simulate, action))
        env.observe()
        row = (expert_ms, physics_ms, env.render_ms, env.points_ms)
        for stage, milliseconds in zip(STAGES, row, strict=True):
            taken[stage].append(milliseconds)
        if terminated:
            break
    renderer = env.renderer
    env.close()
    return {stage: round(float(np.median(values)), 2) for stage, values in taken.items()} | {
        "renderer": renderer
    }


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What ``call`` returns, and its milliseconds."""
    started = time.perf_counter()
    result = call()
    return result, 1000 * (time.perf_counter() - started)


def measure(task: str, episodes: int) -> dict[str, Any]:
    """One task's row."""
    with tempfile.TemporaryDirectory() as folder:
        make_env = functools.partial(envs.make, task)
        report = collect(make_env, Path(folder) / "data.zarr", episodes=episodes, seed=0)
    return {
        "task": task,
        "per_minute": round(60 * report.kept / report.seconds, 1),
        "kept": report.kept,
        "attempted": report.attempted,
        **stages(task, seed=0),
    }


def main() -> None:
    """Measures every task and writes JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    load = os.getloadavg()[0]
    rows = [measure(f"adroit/{task}", given.episodes) for task in TASKS]
    facts = {
        **machine_facts("cpu"),
        "date": time.strftime("%Y-%m-%d"),
        "command": f"python -m benchmarks.adroit_speed --episodes {given.episodes}",
        "load_before": round(load, 1),
    }
    given.out.with_suffix(".json").write_text(json.dumps({**facts, "rows": rows}, indent=1) + "\n")
    lines = ["# Demonstrations of Adroit", "", *(f"- {key}: {facts[key]}" for key in facts), ""]
    lines += [
        "| task | demonstrations per minute | kept of attempted | expert ms | physics ms "
        "| render ms | points ms | renderer |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        shown = " | ".join(str(row[stage]) for stage in STAGES)
        lines.append(
            f"| {row['task']} | {row['per_minute']} | {row['kept']} of {row['attempted']} "
            f"| {shown} | {row['renderer']} |"
        )
    given.out.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
