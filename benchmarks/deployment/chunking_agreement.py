"""How well the next chunk of a one-step policy can be made to agree with the plan under way.

Along episodes of a trained policy, eight steps of each chunk are executed, and the next decision is
made in every way from the same observation and noise. The gap is the root mean square difference
from what is left of the old chunk, weighted by RTC's soft mask, in action units:

    python -m benchmarks.deployment.chunking_agreement RUN \
        --out benchmarks/results/2026-11-24-chunking-agreement.md
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from benchmarks.cells import FIRST_SEED, machine
from mfpolicy.cli.eval import environment_of
from mfpolicy.config import compose
from mfpolicy.deployment.chunking import Request
from mfpolicy.deployment.chunking.real_time_chunking import soft_mask
from mfpolicy.deployment.chunking.steering import decode_steered
from mfpolicy.policy import load_policy

EXECUTE, STEPS = 8, 104
WAYS = {
    "plain": {},
    "best of 4": {"candidates": 4},
    "best of 16": {"candidates": 16},
    "best of 64": {"candidates": 64},
    "1 correction": {"corrections": 1, "correction_rate": 5.0},
    "5 corrections": {"corrections": 5, "correction_rate": 5.0},
    "20 corrections": {"corrections": 20, "correction_rate": 5.0},
    "warm start, t = 0.3": {"warm_time": 0.3},
    "warm start, t = 0.5": {"warm_time": 0.5},
    "warm start, t = 0.7": {"warm_time": 0.7},
}


def measure(run: Path, episodes: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Gaps in action units and milliseconds, one a decision, of every way."""
    policy, env = load_policy(run), environment_of(compose("eval", [str(run)]))()
    gaps, times_ms = defaultdict(list), defaultdict(list)
    for seed in range(FIRST_SEED, FIRST_SEED + episodes):
        frames, chunk = [env.reset(seed=seed)[0]] * 2, None
        for step in range(0, STEPS, EXECUTE):
            stacked = {key: np.stack([frame[key] for frame in frames])[None] for key in frames[0]}
            condition = policy.encode(policy.prepare(stacked))
            if chunk is not None:
                for way, options in WAYS.items():
                    gap, milliseconds = _decide(policy, condition, chunk, step, options)
                    gaps[way].append(gap)
                    times_ms[way].append(milliseconds)
            generator = torch.Generator().manual_seed(seed + step)
            chunk = policy.decode(condition, generator=generator)[0].numpy()
            for action in chunk[:EXECUTE]:
                env.simulate(np.clip(action, -1, 1))
                frames = [frames[1], env.observe()]
    env.close()
    return gaps, times_ms


def _decide(policy, condition, chunk, step, options) -> tuple[float, float]:
    plan = chunk[EXECUTE:]
    weights = soft_mask(0, len(plan))
    request = Request(0, 1, step, step, plan, chunk[EXECUTE - 1], weights, **options)
    generator = torch.Generator().manual_seed(step)
    started = time.perf_counter()
    new = decode_steered(policy, condition, request, generator=generator)[0].numpy()
    milliseconds = 1e3 * (time.perf_counter() - started)
    squares = weights[:, None] * np.square(new[: len(plan)] - plan)
    return float(np.sqrt(squares.sum() / weights.sum() / plan.shape[1])), milliseconds


def table(gaps: dict[str, list[float]], times_ms: dict[str, list[float]], episodes: int) -> str:
    """The result as Markdown."""
    lines = [
        f"Gap between a chunk and what is left of the one before, {episodes} episodes, "
        f"{len(gaps['plain'])} decisions each in every way. {machine()}, one thread; times are of "
        "the network alone, and of a machine that others used too.",
        "",
        "| decision | gap, mean | gap, median | time, median, ms |",
        "|---|---|---|---|",
    ]
    for way, values in gaps.items():
        lines.append(
            f"| {way} | {statistics.mean(values):.4f} | {statistics.median(values):.4f} | "
            f"{statistics.median(times_ms[way]):.1f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--episodes", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    text = table(*measure(given.run, given.episodes), given.episodes)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
