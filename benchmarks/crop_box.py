"""The suite's crop box of Meta-World beside DP3's: the same method, demonstrations and seeds.

Trains nothing: it pairs the committed records of the suite ``quick_8`` (``mfpolicy benchmark run
suite=quick_8 methods=mp1_plus,regression``) with those of ``records/dp3_box``, which the same
command made while the suite had DP3's box; nothing else of their configurations differs:

    python -m benchmarks.crop_box --out benchmarks/results/2026-11-28-crop-box.md
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.cells import paired, rate, write_table
from mfpolicy.benchmark import CellRecord, read_records

RECORDS = Path(__file__).parent / "records"
Outcomes = Mapping[int, bool]
Key = tuple[str, str, int]


def by_cell(suite: str) -> dict[Key, CellRecord]:
    """Records of Meta-World by task, method and training seed."""
    found = read_records(RECORDS / suite)
    return {
        (record.task, record.method, record.seed): record
        for record in found
        if record.task.startswith("metaworld/") and record.demonstrations == 10
    }


def outcomes(record: CellRecord) -> Outcomes:
    """Success at any step by evaluation seed."""
    return {each.seed: each.success_any for each in record.evaluations["last"].episodes}


def ended(record: CellRecord) -> int:
    """Episodes that succeed at the end."""
    return sum(each.success_end for each in record.evaluations["last"].episodes)


def table() -> str:
    """The result as Markdown."""
    inside, dp3 = by_cell("quick_8"), by_cell("dp3_box")
    lines = [
        "`mp1_mixer`'s encoder, network and training (1000 steps of 64, ten demonstrations), the "
        "same 100 episodes, the last weights. Success at any step with Wilson's 95 % interval, at "
        "the end in brackets; the paired difference with Newcombe's interval.",
        "",
        "| task | method | training seed | the suite's box | DP3's box | difference, % |",
        "|---|---|---|---|---|---|",
    ]
    pooled: tuple[dict[int, bool], dict[int, bool]] = ({}, {})
    for place, key in enumerate(sorted(inside.keys() & dp3.keys(), key=lambda k: (k[1], k))):
        task, method, seed = key
        ours, theirs = outcomes(inside[key]), outcomes(dp3[key])
        shown = [
            f"{rate(list(each.values()))} ({ended(record)})"
            for each, record in ((ours, inside[key]), (theirs, dp3[key]))
        ]
        lines.append(
            f"| {task.removeprefix('metaworld/')} | {method} | {seed} | {shown[0]} | {shown[1]} "
            f"| {paired(ours, theirs)} |"
        )
        for pool, own in zip(pooled, (ours, theirs), strict=True):
            pool.update({10**6 * place + episode: up for episode, up in own.items()})
    all_of = [rate(list(pool.values())) for pool in pooled]
    lines.append(f"| all pairs | | | {all_of[0]} | {all_of[1]} | {paired(*pooled)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_table(__doc__ or "", table)
