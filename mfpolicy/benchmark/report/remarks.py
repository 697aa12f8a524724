"""What a reader must know of the records before comparing anything."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from mfpolicy.benchmark.record import LAST, CellRecord
from mfpolicy.benchmark.report.alike import unlike_most
from mfpolicy.benchmark.report.cost import processor
from mfpolicy.benchmark.report.evaluated import evaluation_remarks
from mfpolicy.benchmark.report.results import SUITES_AT_END, Results, cell_name
from mfpolicy.benchmark.report.series import top5
from mfpolicy.config.suites import world_vectors

SNAPSHOTS = "training.snapshots"
_SHOWN = 8


def remarks(results: Results, alone: list[str]) -> list[str]:
    """Sentences about what is missing, twice there, or not alike.

    Args:
        results: the records.
        alone: methods that share no pair with the baseline.
    """
    return [
        *_missing(results),
        *_twice(results),
        *_episodes(results),
        *_settings(results),
        *evaluation_remarks(results, _short),
        *_budgets(results),
        *_datasets(results),
        *_baseline(results, alone),
        *_demonstrations(results),
        *_top5(results),
        *_machines(results),
        *_suites(results),
    ]


def _missing(results: Results) -> list[str]:
    found = []
    for method in results.methods:
        lacking = [task for task in results.tasks if task not in results.tasks_of(method)]
        if lacking:
            found.append(
                f"{method} has no record of {len(lacking)} of {len(results.tasks)} tasks: "
                f"{_short(lacking)}. Means over tasks leave them out for every method."
            )
    return found


def _twice(results: Results) -> list[str]:
    if not results.duplicates:
        return []
    return [
        f"{len(results.duplicates)} cells have several different records, of which the latest "
        f"counts: {_short(results.duplicates)}."
    ]


def _episodes(results: Results) -> list[str]:
    """Whether all cells of a task were evaluated on the same seeds."""
    usual = Counter(_seeds(record) for record in results.records).most_common(1)[0][0]
    other = [cell_name(r) for r in results.records if _seeds(r) != usual]
    if not other:
        return []
    return [
        f"Most cells were evaluated on {len(usual)} seeds ({min(usual)} to {max(usual)}), "
        f"{len(other)} on others: {_short(other)}. Comparisons take the seeds that both have; "
        "the rates of the tables are of different initial states there."
    ]


def _seeds(record: CellRecord) -> tuple[int, ...]:
    return tuple(sorted(each.seed for each in record.evaluations[LAST].episodes))


def _settings(results: Results) -> list[str]:
    """Whether the cells of each method were trained alike, whatever the words that said so."""
    found = []
    for method in results.methods:
        own = {cell_name(record): record for record in results.of(method)}
        told = unlike_most({name: _config(record) for name, record in own.items()})
        odd = {name: keys - _of_no_use(own[name]) for name, keys in told.items()}
        odd = {name: keys for name, keys in odd.items() if keys}
        if odd:
            which = sorted(set().union(*odd.values()))
            found.append(
                f"The cells of {method} were not all trained with the same settings; "
                f"{len(odd)} differ from most, in {_short(which)}: {_short(list(odd))}."
            )
    return found


def _config(record: CellRecord) -> dict[str, Any]:
    """As a record's file has it; how many policies were kept along a training decides nothing."""
    kept = {key: value for key, value in record.config.items() if key != SNAPSHOTS}
    return json.loads(json.dumps(kept))


def _of_no_use(record: CellRecord) -> set[str]:
    """Settings that the suite's states leave without a meaning: no position to magnify around."""
    return set() if world_vectors(record.task) else {"encoder.relative_near_m"}


def _budgets(results: Results) -> list[str]:
    """Whether all cells learnt from as many windows."""
    seen = {
        method: sorted({r.training.steps * r.training.batch_size for r in results.of(method)})
        for method in results.methods
    }
    if len({count for counts in seen.values() for count in counts}) < 2:
        return []
    shown = "; ".join(f"{method} {_range(counts)}" for method, counts in seen.items())
    return [
        "Trainings were not equally long, so that a difference may come of that; windows seen "
        f"(steps × batch size): {shown}."
    ]


def _range(counts: Sequence[int]) -> str:
    low, high = counts[0], counts[-1]
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _datasets(results: Results) -> list[str]:
    """Whether all cells of a task and a number of demonstrations learnt from the same ones."""
    digests: dict[tuple[str, int], set[str]] = {}
    for record in (*results.records, *results.others):
        found = digests.setdefault((record.task, record.demonstrations), set())
        if record.collected.digest is not None:
            found.add(record.collected.digest)
    odd = [f"{task} ({n})" for (task, n), found in sorted(digests.items()) if len(found) > 1]
    if not odd:
        return []
    return [
        "Cells of one task and number of demonstrations did not all learn from the same ones, so "
        f"that a difference may come of the data: {_short(odd)}."
    ]


def _baseline(results: Results, alone: list[str]) -> list[str]:
    if results.baseline is None:
        return [
            "There are no paired comparisons: mp1 has no records here, and no other baseline "
            "was named."
        ]
    if not alone:
        return []
    return [
        f"No pair of task, training seed and evaluation seed is common to {results.baseline} "
        f"and {', '.join(alone)}."
    ]


def _demonstrations(results: Results) -> list[str]:
    if not results.others:
        return []
    counts = Counter(record.demonstrations for record in results.others)
    shown = ", ".join(f"{number} ({cells} cells)" for number, cells in sorted(counts.items()))
    return [
        f"The tables are of {results.demonstrations} demonstrations; other numbers stand in the "
        f"figure of demonstrations only: {shown}."
    ]


def _top5(results: Results) -> list[str]:
    without = [
        method
        for method in results.methods
        if any(top5(record) is None for record in results.of(method))
    ]
    if not without:
        return []
    return [
        "dp3_top5 is left empty where a cell has fewer than five evaluations along its training: "
        f"{', '.join(without)}."
    ]


def _machines(results: Results) -> list[str]:
    kinds = Counter(processor(record) for record in results.records)
    if len(kinds) < 2:
        return []
    shown = "; ".join(f"{kind} ({cells} cells)" for kind, cells in kinds.most_common())
    return [f"Times were measured on different machines and are not alike: {shown}."]


def _suites(results: Results) -> list[str]:
    known = ("metaworld", *SUITES_AT_END)
    other = sorted({task.partition("/")[0] for task in results.tasks} - set(known))
    if not other:
        return []
    return [f"For {', '.join(other)} success at any step decides, as for Meta-World."]


def _short(names: list[str] | tuple[str, ...]) -> str:
    text = ", ".join(names[:_SHOWN])
    rest = len(names) - _SHOWN
    return f"{text} and {rest} more" if rest > 0 else text
