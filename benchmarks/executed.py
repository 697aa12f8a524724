"""How many actions of a chunk to execute: the cells of a benchmark, evaluated once more.

Trains nothing: of every finished cell of ``mfpolicy benchmark run … out=FOLDER`` (training seed 0)
the same last policy is evaluated on the same seeds, and decides after as many steps as it is told
in place of after all three of its chunk. It goes on where it stopped:

    python -m benchmarks.executed --cells runs/quick_8 --records benchmarks/records/current \\
        --method mp1_plus --execute 1 --out benchmarks/results/2026-11-28-executed
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cells import FIRST_SEED, mfpolicy, paired, rate
from benchmarks.provenance import provenance
from mfpolicy.benchmark import CellRecord, read_records, record_path


@dataclass(frozen=True)
class Again:
    """One cell under another execution.

    Attributes:
        task, seed: of the cell. execute: actions of a chunk before the next decision.
        success_any, success_end: of each episode, from `FIRST_SEED` on.
    """

    task: str
    seed: int
    execute: int
    success_any: list[bool]
    success_end: list[bool]


def evaluate(cells: Path, record: CellRecord, execute: int) -> Again:
    """Evaluates the cell's run folder, or reads what an earlier call left."""
    run = record_path(
        cells,
        task=record.task,
        method=record.method,
        demonstrations=record.demonstrations,
        seed=record.seed,
    ).with_suffix("")
    name, count = f"execute-{execute}", len(record.evaluations["last"].episodes)
    mfpolicy(
        *("eval", str(run), f"episodes={count}", f"seed={FIRST_SEED}", "workers=1"),
        *("videos=false", f"execution.execute={execute}", f"name={name}"),
    )
    lines = (run / "eval" / name / "episodes.jsonl").read_text().splitlines()
    done = sorted((json.loads(line) for line in lines), key=lambda each: each["seed"])[:count]
    flags = ([each[flag] for each in done] for flag in ("success_any", "success_end"))
    return Again(record.task, record.seed, execute, *flags)


def table(
    again: Sequence[Again], records: Mapping[tuple[str, int], CellRecord], about: Mapping[str, Any]
) -> str:
    """The result as Markdown."""
    lines = [
        "Success at any step with Wilson's 95 % interval, at the end in brackets, of the same "
        "policies and evaluation seeds; the paired difference with Newcombe's interval and "
        f"McNemar's exact p. Commit {about['commit']}.",
        "",
        "| task | training seed | executed of a chunk | success | all three executed "
        "| difference, % |",
        "|---|---|---|---|---|---|",
    ]
    pooled: dict[int, tuple[dict[int, bool], dict[int, bool]]] = {}
    for place, each in enumerate(again):
        episodes = records[each.task, each.seed].evaluations["last"].episodes
        before = [episode.success_any for episode in episodes]
        ended = sum(episode.success_end for episode in episodes)
        pair = pooled.setdefault(each.execute, ({}, {}))
        for pool, flags in zip(pair, (each.success_any, before), strict=True):
            pool.update({10**6 * place + seed: up for seed, up in enumerate(flags)})
        lines.append(
            f"| {each.task} | {each.seed} | {each.execute} | {rate(each.success_any)} "
            f"({sum(each.success_end)}) | {rate(before)} ({ended}) "
            f"| {paired(dict(enumerate(each.success_any)), dict(enumerate(before)))} |"
        )
    for execute, (now, before) in pooled.items():
        rates = " | ".join(rate(list(flags.values())) for flags in (now, before))
        lines.append(f"| all pairs | | {execute} | {rates} | {paired(now, before)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Reads the command line, evaluates what is missing and writes the result after each cell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", type=Path, required=True, help="the benchmark's out=")
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--method", default="mp1_plus")
    parser.add_argument("--tasks", nargs="+", help="as metaworld/push; else all that have records")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="training seeds")
    parser.add_argument("--execute", nargs="+", type=int, default=[1])
    parser.add_argument("--workers", type=int, default=2, help="cells at a time")
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    given = parser.parse_args()
    records = {
        (record.task, record.seed): record
        for record in read_records(given.records)
        if record.method == given.method and record.seed in given.seeds
        if given.tasks is None or record.task in given.tasks
    }
    jobs = [(record, execute) for execute in given.execute for record in records.values()]
    finished: list[Again] = []
    about = provenance()
    with ThreadPoolExecutor(given.workers) as pool:
        for again in pool.map(lambda job: evaluate(given.cells, *job), jobs):
            finished.append(again)
            content = {**about, "cells": [vars(each) for each in finished]}
            given.out.with_suffix(".json").write_text(json.dumps(content) + "\n")
            given.out.with_suffix(".md").write_text(table(finished, records, about))


if __name__ == "__main__":
    main()
