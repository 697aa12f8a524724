"""Samples per second of two processes beside one, on the same global batch.

Three ways to use a machine of two cores, in turn, several rounds: one process with one thread, one
process with two threads, two processes of torchrun with one thread each.

    python -m benchmarks.training.scaling --data data/drawer-open.zarr \
        --out benchmarks/results/2026-11-24-training-scaling
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.cells import machine

WAYS = {"1 process, 1 thread": (1, 1), "1 process, 2 threads": (1, 2), "2 processes": (2, 1)}
SIZES = {"mp1_small": (128, 24), "mp1": (32, 8)}
"""Preset: global batch, steps."""
WARM = 2


def samples_per_s(preset: str, data: str, processes: int, threads: int) -> float:
    """Median over the steps of one short run, without the first ones."""
    batch, steps = SIZES[preset]
    starter = [sys.executable]
    if processes > 1:
        starter += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    with tempfile.TemporaryDirectory() as folder:
        words = [
            *("task=metaworld/drawer-open", f"data={data}", f"policy={preset}"),
            *(f"out={folder}/run", f"budget={steps}steps", f"training.batch_size={batch}"),
            *("training.log_every=1", "training.checkpoint_every=1000000", "device=cpu"),
            *("logging.wandb=disabled", "logging.progress=false"),
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        command = [*starter, "-m", "mfpolicy", "train", *words]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        lines = (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()
    return statistics.median(json.loads(line)["samples_per_s"] for line in lines[WARM:])


def main() -> None:
    """Measures all ways in turn and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="ten demonstrations of drawer-open")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {p: {w: [] for w in WAYS} for p in SIZES}
    for _ in range(given.rounds):
        for preset in SIZES:
            for way, (processes, threads) in WAYS.items():
                found[preset][way].append(samples_per_s(preset, given.data, processes, threads))
    rows = [
        f"Samples per second, median of {given.rounds} interleaved rounds; {machine()}.",
        "",
        "| preset | batch | " + " | ".join(WAYS) + " | 2 processes / 1 of 1 thread |",
        "|---|---|" + "---|" * (len(WAYS) + 1),
    ]
    for preset, ways in found.items():
        medians = {way: statistics.median(rates) for way, rates in ways.items()}
        shown = " | ".join(f"{value:.0f}" for value in medians.values())
        pairs = zip(ways["2 processes"], ways["1 process, 1 thread"], strict=True)
        ratio = statistics.median(two / one for two, one in pairs)
        rows.append(f"| {preset} | {SIZES[preset][0]} | {shown} | {ratio:.2f} |")
    text = "\n".join(rows) + "\n"
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.with_suffix(".json").write_text(json.dumps(found) + "\n")
    given.out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
