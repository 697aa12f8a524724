"""Samples per second of four seeds of mp1_small: together, one after another, in two processes.

The ways are taken in turn, several rounds, each in processes of its own. The clock runs over whole
runs, from opening the data to the last checkpoint, without the start of the processes.

    python -m benchmarks.training.together --data data/drawer-open.zarr \
        --out benchmarks/results/2026-11-24-training-together
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.cells import machine

RUNS, STEPS, BATCH = 4, 20, 64


@dataclass(frozen=True)
class Way:
    """How the runs are spread: over processes, over workers in each, with threads in all."""

    processes: int
    workers: int
    threads: int


WAYS = {
    "one after another, 2 threads": Way(1, 1, 2),
    "one after another, 1 thread": Way(1, 1, 1),
    "together, 2 workers": Way(1, 2, 2),
    "together, 4 workers": Way(1, 4, 4),
    "2 processes, 1 thread each": Way(2, 1, 1),
}
BASE = next(iter(WAYS))


@dataclass(frozen=True)
class Measured:
    """One way in one round: over all of its processes."""

    samples_per_s: float
    cpu_ms_per_sample: float
    peak_mib: float


def train_runs(words: list[list[str]], way: Way, ready: Any, results: Any) -> None:
    """Trains some runs in this process once the others are ready too."""
    import torch

    from mfpolicy.config import compose
    from mfpolicy.training import train, train_together

    torch.set_num_threads(way.threads)
    configs = [compose("train", run) for run in words]
    ready.wait()
    cpu, started = time.process_time(), time.monotonic()
    if way.workers > 1:
        train_together(configs, workers=way.workers)
    else:
        for config in configs:
            train(config)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.put((started, time.monotonic(), time.process_time() - cpu, peak))


def measure(data: str, way: Way) -> Measured:
    """Trains all runs in one way."""
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(way.processes), context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        words = [
            [
                *("task=metaworld/drawer-open", f"data={data}", "policy=mp1_small"),
                *(f"out={folder}/{seed}", f"seed={seed}", f"budget={STEPS}steps"),
                *(f"training.batch_size={BATCH}", "training.checkpoint_every=1000000"),
                *("device=cpu", "logging.wandb=disabled", "logging.progress=false"),
            ]
            for seed in range(RUNS)
        ]
        shares = [words[first :: way.processes] for first in range(way.processes)]
        processes = [
            context.Process(target=train_runs, args=(share, way, ready, results))
            for share in shares
        ]
        for process in processes:
            process.start()
        found = [results.get(timeout=1200) for _ in processes]
        for process in processes:
            process.join()
    starts, ends, cpu, peaks = zip(*found, strict=True)
    samples = RUNS * STEPS * BATCH
    rate = samples / (max(ends) - min(starts))
    return Measured(round(rate, 1), round(1e3 * sum(cpu) / samples, 3), round(sum(peaks)))


def table(rounds: list[dict[str, Measured]], beside: str) -> str:
    """The result as Markdown."""
    rows = [
        f"{RUNS} seeds of `mp1_small` on drawer-open, {STEPS} steps of batch {BATCH} each; medians "
        f"of {len(rounds)} interleaved rounds; {machine()}. Beside it ran: {beside}.",
        "",
        "| way | samples/s | of the first way, by round | CPU ms per sample | peak memory, MiB |",
        "|---|---|---|---|---|",
    ]
    for name in WAYS:
        own = [measured[name] for measured in rounds]
        ratios = sorted(m[name].samples_per_s / m[BASE].samples_per_s for m in rounds)
        low, middle, high = ratios[0], statistics.median(ratios), ratios[-1]
        rate = statistics.median(m.samples_per_s for m in own)
        cpu = statistics.median(m.cpu_ms_per_sample for m in own)
        peak = statistics.median(m.peak_mib for m in own)
        rows.append(
            f"| {name} | {rate:.0f} | {middle:.2f} ({low:.2f} to {high:.2f}) | {cpu:.2f} "
            f"| {peak:.0f} |"
        )
    return "\n".join(rows) + "\n"


def main() -> None:
    """Measures all ways in turn and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="ten demonstrations of drawer-open")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", default="nothing", help="what else the machine was doing")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    # As the command line does: threads that wait for one another give their cores away soon.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    rounds = [
        {name: measure(given.data, way) for name, way in WAYS.items()} for _ in range(given.rounds)
    ]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    found = [{name: asdict(m) for name, m in measured.items()} for measured in rounds]
    given.out.with_suffix(".json").write_text(json.dumps(found) + "\n")
    given.out.with_suffix(".md").write_text(table(rounds, given.beside))
    print(table(rounds, given.beside))


if __name__ == "__main__":
    main()
