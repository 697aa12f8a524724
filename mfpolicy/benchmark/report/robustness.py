"""Success under perturbations: what each costs, and how success falls with how much is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mfpolicy.benchmark.record import LAST, CellRecord
from mfpolicy.benchmark.report.results import Results, outcomes
from mfpolicy.benchmark.report.series import effects, ordered
from mfpolicy.evaluation.aggregates import (
    Cell,
    MeanDifference,
    MeanRate,
    mean_difference,
    mean_rate,
    paired_cells,
    paired_effect,
)
from mfpolicy.evaluation.clustering import DesignEffect

Table = Mapping[str, Cell]
"""Task → training seed → evaluation seed → success."""


@dataclass(frozen=True)
class Perturbed:
    """A method under a perturbation.

    Attributes:
        name: of the evaluation. method: its name. tasks: the mean is over.
        rate: under it. change: against the same policy unperturbed, on the same initial states.
    """

    name: str
    method: str
    tasks: tuple[str, ...]
    rate: MeanRate
    change: MeanDifference


@dataclass(frozen=True)
class Severity:
    """Mean success against how much one perturbation changes.

    Attributes:
        perturbation: its name. option: the number that says how much.
        others: its other options, all evaluations alike.
        tasks: that every point is a mean over.
        points: method → value of the option → mean. The first value is that of nothing changed:
            the same policies on the same evaluation seeds.
    """

    perturbation: str
    option: str
    others: dict[str, Any]
    tasks: tuple[str, ...]
    points: dict[str, dict[float, MeanRate]]


@dataclass(frozen=True)
class _Condition:
    """An evaluation by its name and what it changed; cells are joined where both are alike."""

    name: str
    changed: str  # JSON

    def cells(self, results: Results, method: str) -> Table:
        records = [r for r in results.of(method) if self in _conditions(r)]
        return outcomes(records, evaluation=self.name)


def robustness(results: Results) -> list[Perturbed]:
    """Every perturbation × method, over the tasks that all methods with it have it on."""
    changes, rates, found = _change_effects(results), effects(results), []
    for condition in _all_conditions(results):
        cells = {m: condition.cells(results, m) for m in results.methods}
        cells = {method: table for method, table in cells.items() if table}
        tasks = ordered(results.tasks, set.intersection(*(set(t) for t in cells.values())))
        for method, table in cells.items():
            here = {task: table[task] for task in tasks}
            plain = outcomes(results.of(method))
            if any(paired_cells(here[task], plain[task]) for task in tasks):
                rate = mean_rate(here, effect=rates[method])
                change = mean_difference(here, plain, effect=changes[method])
                found.append(Perturbed(condition.name, method, tasks, rate, change))
    return found


def severities(results: Results) -> list[Severity]:
    """Each perturbation with one number that says how much, over the tasks that all levels have."""
    kinds: dict[str, dict[float, _Condition]] = {}
    for condition in _all_conditions(results):
        if (split := _split(json.loads(condition.changed))) is not None:
            kind, value = json.dumps(split[0], sort_keys=True), split[1]
            kinds.setdefault(kind, {}).setdefault(value, condition)
    found = (_severity(results, json.loads(kind), levels) for kind, levels in kinds.items())
    return [severity for severity in found if severity is not None]


def _severity(
    results: Results, kind: Mapping[str, Any], levels: Mapping[float, _Condition]
) -> Severity | None:
    tables: dict[str, dict[float, Table]] = {}
    for value, condition in sorted(levels.items()):
        for method in results.methods:
            if table := condition.cells(results, method):
                tables.setdefault(method, {})[value] = table
    shared = [set(table) for each in tables.values() for table in each.values()]
    tasks = ordered(results.tasks, set.intersection(*shared))
    if not tasks:
        return None
    known, points = effects(results), {}
    for method in [method for method in results.methods if method in tables]:
        plain = _where_evaluated(outcomes(results.of(method)), tables[method].values())
        if not all(any(plain.get(task, {}).values()) for task in tasks):
            return None
        places = {_at_rest(kind["option"]): plain, **tables[method]}
        points[method] = {
            value: mean_rate({task: table[task] for task in tasks}, effect=known[method])
            for value, table in places.items()
        }
    return Severity(kind["name"], kind["option"], kind["others"], tasks, points)


def _where_evaluated(plain: Table, perturbed: Any) -> dict[str, Cell]:
    """The outcomes of the cells and on the evaluation seeds that a perturbed evaluation has."""
    seeds: dict[tuple[str, int], set[int]] = {}
    for table in perturbed:
        for task, cell in table.items():
            for training, episodes in cell.items():
                seeds.setdefault((task, training), set()).update(episodes)
    return {
        task: {
            training: {e: up for e, up in episodes.items() if e in seeds[task, training]}
            for training, episodes in cell.items()
            if (task, training) in seeds
        }
        for task, cell in plain.items()
    }


def _at_rest(option: str) -> float:
    """The value of a perturbation's number that changes nothing."""
    return 1.0 if option == "factor" else 0.0


def _split(perturbation: Mapping[str, Any]) -> tuple[dict[str, Any], float] | None:
    """What kind a perturbation is of, and how much it changes; None where that is not one number.

    Every perturbation of ours has exactly one.
    """
    options = {key: value for key, value in perturbation.items() if key != "name"}
    numbers = [
        key for key, v in options.items() if isinstance(v, int | float) and not isinstance(v, bool)
    ]
    if "name" not in perturbation or len(numbers) != 1:
        return None
    value = float(options.pop(numbers[0]))
    return {"name": perturbation["name"], "option": numbers[0], "others": options}, value


def _conditions(record: CellRecord) -> Iterator[_Condition]:
    for name, evaluation in record.evaluations.items():
        if name != LAST:
            yield _Condition(name, json.dumps(evaluation.perturbation, sort_keys=True))


def _all_conditions(results: Results) -> list[_Condition]:
    return list(dict.fromkeys(c for record in results.records for c in _conditions(record)))


def _change_effects(results: Results) -> dict[str, DesignEffect]:
    """Of the change under perturbation of each method, from all perturbations and tasks."""
    found = {}
    for method in results.methods:
        plain = outcomes(results.of(method))
        pairs: tuple[dict[str, Cell], dict[str, Cell]] = ({}, {})
        policies = {}
        for condition in _all_conditions(results):
            for task, cell in condition.cells(results, method).items():
                key = f"{condition} {task}"
                pairs[0][key], pairs[1][key], policies[key] = cell, plain[task], task
        found[method] = paired_effect(*pairs, policies)
    return found
