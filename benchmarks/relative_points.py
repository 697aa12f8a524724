"""Points that are seen from the hand too, beside the same policy that sees them in the world alone.

Trains nothing: it compares committed records of the suite ``quick_8`` (method ``mp1_plus``,
training seed 0, made while Meta-World had DP3's crop box) with the committed
cells of ``benchmarks.encoders.success``, which were trained before ``encoder.relative_to`` existed,
on the same ten demonstrations for as many steps, and were evaluated on the same episodes:

    python -m benchmarks.relative_points --out benchmarks/results/2026-11-28-relative-points.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.cells import FIRST_SEED, paired, rate, write_table
from benchmarks.encoders.success import TASKS

HERE = Path(__file__).parent
RECORDS = HERE / "records" / "dp3_box" / "metaworld"
BEFORE = HERE / "results" / "2026-11-27-encoders-success.json"
Outcomes = Mapping[int, bool]


def from_the_hand(task: str, flag: str) -> Outcomes:
    """Success by evaluation seed of the default preset, its points seen from the hand too."""
    record = json.loads((RECORDS / task / "mp1_plus" / "d10-s0.json").read_text())
    assert record["config"]["encoder.relative_to"] == "auto"
    return {each["seed"]: each[flag] for each in record["evaluations"]["last"]["episodes"]}


def in_the_world(task: str, network: str, flag: str) -> Outcomes:
    """The same of a policy that sees the points in the world alone."""
    (cell,) = (
        cell
        for cell in json.loads(BEFORE.read_text())["cells"]
        if (cell["task"], cell["method"], cell["seed"]) == (task, f"pointnet+{network}", 0)
    )
    return {FIRST_SEED + place: up for place, up in enumerate(cell[flag])}


def table() -> str:
    """The result as Markdown."""
    lines = [
        "`mp1_mixer` (MeanFlow, one evaluation), ten demonstrations, 1000 steps of 64, training "
        f"seed 0, the same 100 episodes from seed {FIRST_SEED}, the last weights. Success at any "
        "step with Wilson's 95 % interval, at the end in brackets; the paired difference with "
        "Newcombe's interval. The U-Net is that of `mp1_small`, points in the world alone.",
        "",
        "| task | from the hand too | in the world alone | difference, % | U-Net |",
        "|---|---|---|---|---|",
    ]
    pooled: tuple[dict[int, bool], ...] = ({}, {}, {})
    for place, task in enumerate(TASKS):
        flags = ("success_any", "success_end")
        hand, end = (from_the_hand(task, flag) for flag in flags)
        mixer, mixer_end = (in_the_world(task, "mlp_mixer", flag) for flag in flags)
        unet, unet_end = (in_the_world(task, "unet1d_small", flag) for flag in flags)
        shown = [f"{rate(list(a.values()))} ({sum(b.values())})" for a, b in (
            (hand, end), (mixer, mixer_end), (unet, unet_end)
        )]  # fmt: skip
        lines.append(f"| {task} | {shown[0]} | {shown[1]} | {paired(hand, mixer)} | {shown[2]} |")
        for pool, own in zip(pooled, (hand, mixer, unet), strict=True):
            pool.update({10**6 * place + seed: up for seed, up in own.items()})
    hand, mixer, unet = (rate(list(pool.values())) for pool in pooled)
    difference = paired(pooled[0], pooled[1])
    lines.append(f"| all pairs | {hand} | {mixer} | {difference} | {unet} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_table(__doc__ or "", table)
