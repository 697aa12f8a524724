"""What changes along something: training steps, demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mfpolicy.benchmark.record import CellRecord
from mfpolicy.benchmark.report.results import Results, outcomes, successes
from mfpolicy.evaluation.aggregates import Cell, MeanRate, mean_rate
from mfpolicy.evaluation.clustering import DesignEffect, design_effect
from mfpolicy.evaluation.statistics import dp3_top5

LEAST_EVALUATIONS = 5
"""Below so many evaluations along a training there is no ``dp3_top5``."""


@dataclass(frozen=True)
class Series:
    """Mean success over tasks at several places of an axis.

    Attributes:
        tasks: that every point is a mean over. points: method → place → mean.
    """

    tasks: tuple[str, ...]
    points: dict[str, dict[int, MeanRate]]


def learning_curves(results: Results) -> Series | None:
    """Mean success by training step over the tasks of which all methods with curves have them."""
    curves: dict[str, dict[int, dict[str, Cell]]] = {}
    for record in results.records:
        for point in record.curve:
            cells = curves.setdefault(record.method, {}).setdefault(point.step, {})
            seeds = dict(cells.get(record.task, {}))
            cells[record.task] = seeds | {record.seed: successes(point.episodes, record.task)}
    have = [{task for cells in steps.values() for task in cells} for steps in curves.values()]
    tasks = ordered(results.tasks, set.intersection(*have) if have else set())
    # Not that of the tables: a cluster's weight depends on its number of episodes, few here.
    own = {}
    for method, steps in curves.items():
        each = [(task, cell) for cells in steps.values() for task, cell in cells.items()]
        own[method] = design_effect([cell for _, cell in each], [task for task, _ in each])
    points = {
        method: {
            step: mean_rate({task: cells[task] for task in tasks}, effect=own[method])
            for step, cells in sorted(steps.items())
            if all(task in cells for task in tasks)
        }
        for method, steps in curves.items()
    }
    points = {m: points[m] for m in results.methods if len(points.get(m, {})) > 1}
    return Series(tasks, points) if tasks and points else None


def demonstration_counts(results: Results) -> Series | None:
    """Mean success by number of demonstrations, over the tasks that have all of them.

    The methods are those with several numbers; the tasks those that every one of them has with
    every number that it has at all.
    """
    table: dict[str, dict[int, list[CellRecord]]] = {}
    for record in (*results.records, *results.others):
        numbers = table.setdefault(record.method, {})
        numbers.setdefault(record.demonstrations, []).append(record)
    table = {method: numbers for method, numbers in table.items() if len(numbers) > 1}
    have = [{r.task for r in records} for n in table.values() for records in n.values()]
    tasks = ordered(results.tasks, set.intersection(*have) if have else set())
    if not tasks:
        return None
    points, known = {}, effects(results)
    for method, numbers in table.items():
        cells = {number: outcomes(records) for number, records in sorted(numbers.items())}
        points[method] = {
            number: mean_rate({task: each[task] for task in tasks}, effect=known.get(method))
            for number, each in cells.items()
        }
    return Series(tasks, {m: points[m] for m in (*results.methods, *points) if m in points})


def effects(results: Results) -> dict[str, DesignEffect]:
    """Of each method, from all its tasks: the few of a figure say too little of it."""
    return {m: design_effect(list(outcomes(results.of(m)).values())) for m in results.methods}


def top5(record: CellRecord) -> float | None:
    """``dp3_top5`` of a cell, None where it was evaluated too seldom along its training."""
    rates = [
        float(np.mean(list(successes(point.episodes, record.task).values())))
        for point in record.curve
        if point.episodes
    ]
    return dp3_top5(rates) if len(rates) >= LEAST_EVALUATIONS else None


def mean_top5(results: Results, method: str, tasks: Sequence[str]) -> float | None:
    """Mean over tasks of the mean over training seeds; None unless every cell has it."""
    means = []
    for task in tasks:
        values = [top5(record) for record in results.of(method, task)]
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values):
            return None
        means.append(float(np.mean(known)))
    return float(np.mean(means)) if means else None


def ordered(order: Sequence[str], chosen: set[str]) -> tuple[str, ...]:
    """Those that are chosen, in the order given."""
    return tuple(task for task in order if task in chosen)
