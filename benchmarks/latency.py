"""Latency of one decision on the CPU, host observation in to host action out, by preset.

Eager PyTorch, untrained weights (the time does not depend on them), the presets in turn so that a
change of the machine's speed meets them all:

    python benchmarks/latency.py --out benchmarks/results/2026-11-24-latency
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

import mfpolicy
from mfpolicy.evaluation.latency import decide, latency_percentiles
from mfpolicy.evaluation.machine import machine_facts
from mfpolicy.policy import Policy
from mfpolicy.types import EpisodeResult

STATE_DIM, ACTION_DIM = 9, 4  # Meta-World's
ROUND = 50


def frames_for(policy: Policy, random: np.random.Generator) -> list[dict[str, np.ndarray]]:
    """To random observations of the policy's size."""
    return [
        {
            "point_cloud": random.random((policy.spec.points or 512, 3), dtype=np.float32),
            "agent_pos": random.random(STATE_DIM, dtype=np.float32),
        }
        for _ in range(policy.spec.n_obs_steps)
    ]


def measure(presets: list[str], threads: list[int], decisions: int) -> list[dict[str, object]]:
    """One record a preset and thread count, percentiles over ``decisions`` decisions each."""
    policies = {
        name: mfpolicy.build_policy(
            name, point_dim=3, state_dim=STATE_DIM, action_dim=ACTION_DIM
        ).eval()
        for name in presets
    }
    random, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    frames = {name: frames_for(policy, random) for name, policy in policies.items()}
    latencies: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for _ in range(max(1, decisions // ROUND)):
        for count in threads:
            torch.set_num_threads(count)
            for name, policy in policies.items():
                for index in range(ROUND + 5):
                    made = decide(policy, frames[name], steps=1, generator=generator)
                    if index >= 5:  # caches are another preset's after a change
                        for stage, value in made.latencies_ms.items():
                            latencies[name, count][stage].append(value)
    return [
        {
            "preset": name,
            "threads": count,
            "parameters": sum(p.numel() for p in policies[name].parameters()),
            "latency_ms": latency_percentiles(
                [EpisodeResult(0, False, False, 0, 0.0, latencies_ms=dict(stages))]
            ),
        }
        for (name, count), stages in latencies.items()
    ]


def table(records: list[dict[str, object]], machine: dict[str, object]) -> str:
    """The records as Markdown."""
    lines = [
        f"One decision in ms, batch 1, float32, eager, 1 NFE; {machine}.",
        "",
        "| preset | parameters | threads | p50 | p95 | p99 | max | copy, encoder, network (p50) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for record in sorted(records, key=lambda r: (str(r["preset"]), r["threads"])):
        stages: dict[str, dict[str, float]] = record["latency_ms"]  # type: ignore[assignment]
        whole = " | ".join(f"{stages['total'][key]:.2f}" for key in ("p50", "p95", "p99", "max"))
        parts = ", ".join(f"{stages[key]['p50']:.2f}" for key in ("copy", "encoder", "network"))
        lines.append(
            f"| {record['preset']} | {int(str(record['parameters'])) / 1e6:.1f} M | "
            f"{record['threads']} | {whole} | {parts} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures and writes NAME.json and NAME.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["mp1", "mp1_small"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--decisions", type=int, default=1000)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    records = measure(given.presets, given.threads, given.decisions)
    machine = machine_facts("cpu")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    result = {"machine": machine, "records": records}
    given.out.with_suffix(".json").write_text(json.dumps(result) + "\n")
    given.out.with_suffix(".md").write_text(table(records, machine))
    print(table(records, machine))


if __name__ == "__main__":
    main()
