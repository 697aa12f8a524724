"""Kills training runs a hundred times and compares what comes out with a run left in peace.

Each cycle starts ``mfpolicy train … resume=true`` as a process and sends it SIGKILL, SIGTERM or
SIGINT at a moment drawn from the seed: during its start, after a number of steps, or while a
checkpoint or the policy is being written. Several runs share the cycles, side by side; after its
last cycle each ends by itself.

    nice -n 10 python -m benchmarks.training.soak --out benchmarks/results/2026-11-24-training-soak

writes NAME.json (every cycle) and NAME.md. It fails if a checkpoint is lost or damaged, a process
says something unexpected, or the end differs from the undisturbed run in a bit.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from benchmarks.cells import machine
from benchmarks.provenance import commit
from benchmarks.training.kills import (
    CHECKPOINT_EVERY,
    ENDS,
    MOMENTS,
    POINTS,
    TASK,
    Cycle,
    cycle,
    last_step,
    start,
    until,
)
from mfpolicy.data import DatasetSpec, DatasetWriter, Episode
from mfpolicy.training.logging import METRICS
from mfpolicy.training.run_folder import STATE

RUNS, STEPS, EPISODES, LENGTH = 4, 240, 4, 20
NAMES = [number.name for number in ENDS]


def write_data(path: Path) -> None:
    """A few episodes of noise: what is learnt does not matter."""
    random = np.random.default_rng(0)
    spec = DatasetSpec(TASK, 80.0, "noise", None, None, 9, 4, POINTS)
    with DatasetWriter.open(path, spec) as writer:
        for seed in range(EPISODES):
            episode = Episode(
                point_cloud=random.normal(size=(LENGTH, POINTS, 3)).astype(np.float32),
                agent_pos=random.normal(size=(LENGTH, 9)).astype(np.float32),
                action=random.uniform(-1, 1, (LENGTH, 4)).astype(np.float32),
                seed=seed,
                success=True,
            )
            writer.append(episode)


def metrics(run: Path) -> list[dict[str, float]]:
    """The lines of the log without the number that depends on the clock."""
    lines = [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "samples_per_s"} for line in lines]


def names(run: Path) -> list[str]:
    """Every file and folder of a run."""
    return sorted(str(path.relative_to(run)) for path in run.rglob("*"))


def compare(run: Path, reference: Path, steps: int) -> dict[str, bool]:
    """What is equal in the two runs."""
    newest = Path(STATE) / f"step-{steps:08d}.safetensors"
    one, other = load_file(run / newest), load_file(reference / newest)
    equal = one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
    model = "model.safetensors"
    return {
        "policy, byte for byte": (run / model).read_bytes() == (reference / model).read_bytes(),
        "weights, averages and optimizer, bit for bit": equal,
        "every line of metrics.jsonl, once": (
            metrics(run) == metrics(reference)
            and [line["step"] for line in metrics(run)] == list(range(1, steps + 1))
        ),
        "names of files": names(run) == names(reference),
    }


def kill_again_and_again(
    folder: Path, name: str, *, cycles: int, steps: int, seed: Sequence[int], start_s: float
) -> list[Cycle]:
    """Takes one run through its cycles to its end."""
    data, run, log = folder / "data.zarr", folder / name, folder / f"{name}.log"
    random, done = np.random.default_rng(seed), []
    for _ in range(cycles):
        done.append(cycle(random, lambda: (start(data, run, steps, log), log), run, start_s))
        print(name, len(done), done[-1], flush=True)
    if start(data, run, steps, log).wait() != 0:
        raise RuntimeError(f"the last process failed:\n{log.read_text()}")
    return done


def soak(folder: Path, *, cycles: int, runs: int, steps: int, seed: int) -> dict[str, Any]:
    """Runs the reference, then the cycles of every run; returns the record."""
    data, reference, log = folder / "data.zarr", folder / "reference", folder / "log"
    write_data(data)
    started = time.monotonic()
    process = start(data, reference, steps, log)
    until(process, lambda: last_step(reference) > 0)
    start_s = time.monotonic() - started
    if process.wait() != 0:
        raise RuntimeError(f"the undisturbed run failed:\n{log.read_text()}")
    names = [f"run{number}" for number in range(runs)]
    shares = [cycles // runs + (number < cycles % runs) for number in range(runs)]
    with ThreadPoolExecutor(runs) as pool:
        waiting = [
            pool.submit(
                kill_again_and_again, folder, name,
                cycles=share, steps=steps, seed=[seed, number], start_s=start_s,
            )
            for number, (name, share) in enumerate(zip(names, shares, strict=True))
        ]  # fmt: skip
        done = [future.result() for future in waiting]
    results = [compare(folder / name, reference, steps) for name in names]
    return {
        "equal": {what: all(result[what] for result in results) for what in results[0]},
        "seconds": round(time.monotonic() - started),
        "cycles": [
            {"run": name, **asdict(each)}
            for name, each_run in zip(names, done, strict=True)
            for each in each_run
        ],
    }


def table(record: dict[str, Any]) -> str:
    """The record as Markdown."""
    cycles = record["cycles"]
    lines = ["# Training runs killed again and again, and one left in peace", ""]
    lines += [f"- {key}: {record[key]}" for key in ("command", "commit", "machine", "seconds")]
    lines += [f"- runs: {record['runs']}, of {record['steps']} steps each"]
    lines += [f"- a checkpoint every {CHECKPOINT_EVERY} steps", ""]
    lines += [f"| moment | {' | '.join(NAMES)} | left half a file |", "|---|---|---|---|---|"]
    count = Counter((each["moment"], each["signal"]) for each in cycles)
    for moment in MOMENTS:
        half = sum(bool(each["left_unfinished"]) for each in cycles if each["moment"] == moment)
        row = " | ".join(str(count[moment, name]) for name in NAMES)
        lines.append(f"| {moment} | {row} | {half} |")
    lines += ["", f"After {len(cycles)} kills in all, equal to the run left in peace:", ""]
    lines += [f"- {what}: {'yes' if yes else 'NO'}" for what, yes in record["equal"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Soaks and writes both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--runs", type=int, default=RUNS, help="that share the cycles")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    arguments = parser.parse_args()
    options = {key: getattr(arguments, key) for key in ("cycles", "runs", "steps", "seed")}
    words = [f"--{key} {value}" for key, value in options.items()]
    record: dict[str, Any] = {
        "command": " ".join(["python -m benchmarks.training.soak", *words]),
        "commit": commit(),
        "machine": machine(),
        "runs": arguments.runs,
        "steps": arguments.steps,
    }
    with tempfile.TemporaryDirectory() as folder:
        record |= soak(Path(folder), **options)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    arguments.out.with_suffix(".md").write_text(table(record))
    print(table(record))
    if not all(record["equal"].values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
