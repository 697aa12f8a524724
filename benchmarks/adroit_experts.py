"""How often the experts of Adroit reach and hold their goals, and how smoothly; physics only.

    python -m benchmarks.adroit_experts --seeds 200 --out benchmarks/results/NAME

writes NAME.json (every seed) and NAME.md (a table). The seeds are none that an expert was trained
or chosen on. The change is the mean absolute difference of an action from the one before it, in
units of the action space, over the steps of all episodes. ``--public FOLDER`` measures policies of
DAPG's repository beside ours, where FOLDER has their pickles, such as ``door-v0.pickle``.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import envs
from benchmarks.provenance import commit
from envs.experts.network import NetworkExpert, expert_file
from mfpolicy.deployment.importing.mjrl import read_mjrl_policy
from mfpolicy.evaluation import success_rate
from mfpolicy.evaluation.machine import machine_facts

FIRST_SEED = 10_000


def attempt(simulation: Any, expert: NetworkExpert, seed: int, horizon: int) -> dict[str, Any]:
    """One episode's outcome by both rules, and its mean change of the action."""
    simulation.reset(seed)
    actions, outcomes = [], []
    for _ in range(horizon):
        actions.append(expert.action(simulation.full_state()))
        outcomes.append(simulation.step(actions[-1]))
        if outcomes[-1].terminated:
            break
    flags = {
        f"{name}_any": any(outcome.flags[name] for outcome in outcomes)
        for name in outcomes[-1].flags
    }
    return {
        "seed": seed,
        "at_end": outcomes[-1].success,
        "at_any_step": any(outcome.success for outcome in outcomes),
        **flags,
        "change": float(np.abs(np.diff(actions, axis=0)).mean()) if len(actions) > 1 else 0.0,
    }


def measure(task: str, path: Path, seeds: int) -> dict[str, Any]:
    """The record of the expert in the file ``path`` on one task."""
    spec = envs.spec(f"adroit/{task}")
    expert, built = read_expert(path)
    simulation = envs.open_simulation(spec.name)
    started = time.perf_counter()
    attempts = [attempt(simulation, expert, FIRST_SEED + i, spec.horizon) for i in range(seeds)]
    seconds = time.perf_counter() - started
    simulation.close()
    return {
        "task": spec.name,
        "expert": path.name if "task" not in built else "ours",
        "kilobytes": path.stat().st_size / 1000,
        "built": built,
        "episodes_per_minute": 60 * seeds / seconds,
        "attempts": attempts,
    }


def read_expert(path: Path) -> tuple[NetworkExpert, dict[str, Any]]:
    """An expert of ours with how it was built, or the mean action of a policy of mjrl."""
    if path.suffix == ".npz":
        expert = NetworkExpert.load(path)
        return expert, expert.meta
    return NetworkExpert(read_mjrl_policy(path).arrays(), seen_within=math.inf), {}


def table(records: list[dict[str, Any]], header: dict[str, Any]) -> str:
    """The records as a Markdown table."""
    lines = [f"# Experts of Adroit, {header['date']}", ""]
    lines += [f"- {key}: {value}" for key, value in header.items() if key != "date"]
    lines += [
        "",
        "| task | expert | DP3's rule at the end | at any step | gymnasium-robotics, any step "
        "| held | change of the action | built in, CPU min | kB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for record in records:
        tries = record["attempts"]
        columns = ("at_end", "at_any_step", "gymnasium_any", "gymnasium_held_any")
        rates = [str(success_rate([bool(one[column]) for one in tries])) for column in columns]
        change = np.mean([one["change"] for one in tries])
        lines.append(
            f"| {record['task']} | {record['expert']} | {' | '.join(rates)} | {change:.3f} "
            f"| {record['built'].get('cpu_minutes', '')} | {record['kilobytes']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures the experts that are installed and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--public", type=Path, help="folder of DAPG's policies")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    names = [task.name.partition("/")[2] for task in envs.tasks() if task.suite == "adroit"]
    records = []
    for name in names:
        files = [expert_file("adroit", name)]
        if chosen.public is not None:
            files.append(chosen.public / f"{name}-v0.pickle")
        records += [measure(name, path, chosen.seeds) for path in files if path.exists()]
    header = {
        "date": time.strftime("%Y-%m-%d"),
        "command": f"python -m benchmarks.adroit_experts --seeds {chosen.seeds}"
        + (" --public FOLDER" if chosen.public else ""),
        "commit": commit(),
        "machine": f"{machine_facts('cpu')['cpu']}, one thread",
        "seeds": f"{FIRST_SEED} to {FIRST_SEED + chosen.seeds - 1}",
        "versions": ", ".join(
            f"{name} {version(name)}" for name in ("mujoco", "gymnasium-robotics")
        ),
    }
    chosen.out.with_suffix(".json").write_text(json.dumps([header, *records]) + "\n")
    chosen.out.with_suffix(".md").write_text(table(records, header))


if __name__ == "__main__":
    main()
