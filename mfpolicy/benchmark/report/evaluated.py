"""Whether cells that are joined were evaluated alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from mfpolicy.benchmark.record import LAST, CellRecord
from mfpolicy.benchmark.report.alike import differing, unlike_most, usual_of
from mfpolicy.benchmark.report.results import Results, cell_name

OF_THE_METHOD = ("nfe", "guidance_scale")
"""Settings that a method's own objective decides, so that methods may differ in them."""

Shorten = Callable[[list[str]], str]


def evaluation_remarks(results: Results, short: Shorten) -> list[str]:
    """Sentences about cells that were evaluated with other settings than those beside them.

    Records that do not tell their settings, those of early versions, are passed over.

    Args:
        results: the records.
        short: lists names, not too many of them.
    """
    return [
        *_within(results, short),
        *_between(results),
        *_levels(results, short),
        *_beside_last(results, short),
    ]


def _within(results: Results, short: Shorten) -> list[str]:
    """Whether the cells of each method were evaluated alike."""
    found = []
    for method in results.methods:
        told = {cell_name(r): settings for r in results.of(method) if (settings := _settings(r))}
        if told and (odd := unlike_most(told)):
            which = sorted(set().union(*odd.values()))
            found.append(
                f"The cells of {method} were not all evaluated with the same settings; "
                f"{len(odd)} differ from most, in {short(which)}: {short(list(odd))}."
            )
    return found


def _between(results: Results) -> list[str]:
    """Whether methods were evaluated alike, in what is not their own."""
    told = {
        method: usual_of(settings)
        for method in results.methods
        if (settings := [s for record in results.of(method) if (s := _settings(record))])
    }
    keys = {key for settings in told.values() for key in settings} - {*OF_THE_METHOD}
    found = []
    for key in sorted(keys):
        values = {method: json.dumps(settings.get(key)) for method, settings in told.items()}
        if len(set(values.values())) > 1:
            shown = "; ".join(f"{method} {value}" for method, value in values.items())
            found.append(
                f"Methods were not evaluated with the same {key}, so that a difference may come "
                f"of that: {shown}."
            )
    return found


def _levels(results: Results, short: Shorten) -> list[str]:
    """Whether an evaluation of one name is of one perturbation."""
    kinds: dict[str, set[str]] = {}
    for record in results.records:
        for name, each in record.evaluations.items():
            if name != LAST:
                changed = json.dumps(each.perturbation, sort_keys=True)
                kinds.setdefault(name, set()).add(changed)
    odd = [name for name, changed in kinds.items() if len(changed) > 1]
    if not odd:
        return []
    return [
        "Evaluations of one name are not of the same perturbation in all cells, and stand apart: "
        f"{short(odd)}."
    ]


def _beside_last(results: Results, short: Shorten) -> list[str]:
    """Whether perturbed evaluations were made as the plain one that they are compared with."""
    odd = [
        cell_name(record)
        for record in results.records
        if any(
            differing(_settings(record), _settings(record, name))
            for name in record.evaluations
            if name != LAST and _settings(record) and _settings(record, name)
        )
    ]
    if not odd:
        return []
    return [
        "Perturbed evaluations of some cells were made with other settings than the plain one "
        f"that they are compared with: {short(odd)}."
    ]


def _settings(record: CellRecord, name: str = LAST) -> dict[str, Any]:
    """As a record's file has them."""
    return json.loads(json.dumps(record.evaluations[name].settings))
