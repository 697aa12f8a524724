"""Two sets of committed records beside one another: what a change of suite or preset did.

Trains nothing: it pairs records of Meta-World by task, method and training seed. Pairs that
differ in more than the one setting that is asked about are refused:

    python -m benchmarks.records_beside --now without_near_m --before dp3_box \\
        --differs demonstrations --out benchmarks/results/2026-11-28-crop-box.md
    python -m benchmarks.records_beside --now current --before without_near_m \\
        --differs encoder.relative_near_m --out benchmarks/results/2026-11-28-near-the-hand.md
    python -m benchmarks.records_beside --now reconstruction --before current \\
        --differs auxiliary.reconstruction --out benchmarks/results/2026-11-28-reconstruction.md

``records/current`` are of the default preset as it is, ``records/dp3_box`` of DP3's crop box,
``records/without_near_m`` of the suite's, from before the default preset had
``encoder.relative_near_m``, ``records/reconstruction`` with the auxiliary loss of that name.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from benchmarks.cells import paired, rate
from mfpolicy.benchmark import CellRecord, read_records

RECORDS = Path(__file__).parent / "records"
Outcomes = Mapping[int, bool]
Key = tuple[str, str, int]


def by_cell(records: str) -> dict[Key, CellRecord]:
    """Records of Meta-World by method, task and training seed."""
    return {
        (record.method, record.task, record.seed): record
        for record in read_records(RECORDS / records)
        if record.task.startswith("metaworld/") and record.demonstrations == 10
    }


def outcomes(record: CellRecord) -> Outcomes:
    """Success at any step by evaluation seed."""
    return {each.seed: each.success_any for each in record.evaluations["last"].episodes}


def ended(record: CellRecord) -> int:
    """Episodes that succeed at the end."""
    return sum(each.success_end for each in record.evaluations["last"].episodes)


def differences(now: CellRecord, before: CellRecord) -> set[str]:
    """Settings in which two records differ, and ``demonstrations`` if these do."""
    old, new = ({**each.config, "demonstrations": each.collected.digest} for each in (before, now))
    # an option that was not there yet is as one that is off
    return {
        key
        for key in old.keys() | new.keys()
        if (old.get(key) or new.get(key)) and old.get(key) != new.get(key)
    }


def table(now: str, before: str, differs: str) -> str:
    """The result as Markdown.

    Raises:
        ValueError: two records differ in more than ``differs`` and what stands below it.
    """
    ours, theirs = by_cell(now), by_cell(before)
    lines = [
        "`mp1_mixer`'s encoder, network and training (1000 steps of 64, ten demonstrations), the "
        f"same 100 episodes, the last weights; `{differs}` differs. Success at any step with "
        "Wilson's 95 % interval, at the end in brackets; the paired difference with Newcombe's "
        "interval and McNemar's exact p.",
        "",
        f"| method | task | training seed | `{now}` | `{before}` | difference, % |",
        "|---|---|---|---|---|---|",
    ]
    pooled: tuple[dict[int, bool], dict[int, bool]] = ({}, {})
    for place, key in enumerate(sorted(ours.keys() & theirs.keys())):
        pair = ours[key], theirs[key]
        unasked = {each for each in differences(*pair) if not f"{each}.".startswith(f"{differs}.")}
        if unasked:
            raise ValueError(f"{key}: the records differ in {sorted(unasked)} too")
        flags = [outcomes(record) for record in pair]
        shown = [
            f"{rate(list(own.values()))} ({ended(record)})"
            for own, record in zip(flags, pair, strict=True)
        ]
        method, task, seed = key
        lines.append(
            f"| {method} | {task.removeprefix('metaworld/')} | {seed} | {' | '.join(shown)} "
            f"| {paired(*flags)} |"
        )
        for pool, own in zip(pooled, flags, strict=True):
            pool.update({10**6 * place + episode: up for episode, up in own.items()})
    all_of = [rate(list(pool.values())) for pool in pooled]
    lines.append(f"| all pairs | | | {all_of[0]} | {all_of[1]} | {paired(*pooled)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Reads the command line and writes the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--now", required=True, help="folder in benchmarks/records")
    parser.add_argument("--before", required=True, help="the same")
    parser.add_argument(
        "--differs", required=True, help="the setting or group that may, or demonstrations"
    )
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.write_text(table(given.now, given.before, given.differs))


if __name__ == "__main__":
    main()
