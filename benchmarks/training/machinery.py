"""CPU time of an optimizer step in each precision, compiled or not, and in pieces of a batch.

The variants take their steps in turn, so that what else runs on the machine meets all of them:

    python -m benchmarks.training.machinery --data data/drawer-open.zarr \
        --out benchmarks/results/2026-11-24-training-machinery
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from benchmarks.cells import machine
from mfpolicy.config import compose
from mfpolicy.data import Normalizer, WindowDataset, open_dataset
from mfpolicy.policy import Policy
from mfpolicy.presets import policy_spec
from mfpolicy.training.distributed import World
from mfpolicy.training.update import Update

SIZES = {"mp1_small": 64, "mp1": 32}
VARIANTS = {
    "float32": (),
    "bfloat16": ("training.precision=bfloat16",),
    "compiled": ("training.compile=default",),
    "compiled bfloat16": ("training.compile=default", "training.precision=bfloat16"),
    "in two pieces": ("training.micro_batches=2",),
}


def build(data: str, preset: str, words: tuple[str, ...]) -> Update:
    """The optimizer of a fresh policy."""
    batch = f"training.batch_size={SIZES[preset]}"
    task = ("task=metaworld/drawer-open", f"data={data}", "out=none", f"policy={preset}")
    config = compose("train", [*task, batch, *words])
    shape = config.policy
    windows = WindowDataset(
        open_dataset(data),
        n_obs_steps=shape.n_obs_steps,
        horizon=shape.horizon,
        n_action_steps=shape.n_action_steps,
        points=shape.points,
    )
    sizes = {"state_dim": windows.state_dim, "action_dim": windows.action_dim}
    torch.manual_seed(0)
    policy = Policy(policy_spec(config, point_dim=3, **sizes), Normalizer.fit(windows))
    return Update(policy, windows, config, World())


def measure(data: str, preset: str, steps: int) -> dict[str, dict[str, float]]:
    """Milliseconds of the first two steps and, in turn with the others, of a later one."""
    updates, first = {}, {}
    for name, words in VARIANTS.items():
        updates[name] = build(data, preset, words)
        started = time.perf_counter()
        for step in range(2):
            updates[name](step, total_steps=1000)
        first[name] = time.perf_counter() - started
    later: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for step in range(2, 2 + steps):
        for name, update in updates.items():
            started = time.process_time()
            update(step, total_steps=1000)
            later[name].append(1e3 * (time.process_time() - started))
    return {
        name: {"step_ms": statistics.median(later[name]), "first_s": first[name]}
        for name in VARIANTS
    }


def main() -> None:
    """Measures both presets and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="ten demonstrations of drawer-open")
    parser.add_argument("--presets", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = {preset: measure(given.data, preset, given.steps) for preset in given.presets}
    rows = [
        f"CPU time of one optimizer step in milliseconds, one thread, median of {given.steps} "
        f"interleaved steps; in brackets the seconds of the first two steps; {machine()}.",
        "",
        "| preset, batch | " + " | ".join(VARIANTS) + " |",
        "|---|" + "---|" * len(VARIANTS),
    ]
    for preset, results in found.items():
        shown = [f"{r['step_ms']:.0f} ({r['first_s']:.0f} s)" for r in results.values()]
        rows.append(f"| {preset}, {SIZES[preset]} | " + " | ".join(shown) + " |")
    text = "\n".join(rows) + "\n"
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.with_suffix(".json").write_text(json.dumps(found) + "\n")
    given.out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
