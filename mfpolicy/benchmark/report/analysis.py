"""Every number of a report, computed once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from mfpolicy.benchmark.report.cost import Cost, cost_of
from mfpolicy.benchmark.report.pairs import Comparison, compare_with_baseline
from mfpolicy.benchmark.report.reading import honest_reading
from mfpolicy.benchmark.report.remarks import remarks
from mfpolicy.benchmark.report.results import ANY, END, Results, deciding_flag, outcomes
from mfpolicy.benchmark.report.robustness import Perturbed, Severity, robustness, severities
from mfpolicy.benchmark.report.series import (
    Series,
    demonstration_counts,
    learning_curves,
    mean_top5,
)
from mfpolicy.evaluation.aggregates import MeanRate, mean_rate
from mfpolicy.evaluation.clustering import design_effect
from mfpolicy.evaluation.statistics import SuccessRate, success_rate

ALL = "all"
"""The group of all tasks."""


@dataclass(frozen=True)
class Analysis:
    """What the records say.

    Attributes:
        results: the records. common: the tasks that all methods have.
        rates: flag (``success_any``, ``success_end``) → (method, task) → all seeds together.
        means: (method, group or ``all``) → mean over the group's tasks that all methods have.
        comparisons: with the baseline. costs: by method.
        curves, demonstrations: None where there are none. perturbed, severities: empty
            likewise.
        reading: sentences about the result. remarks: about the records.
    """

    results: Results
    common: tuple[str, ...]
    rates: dict[str, dict[tuple[str, str], SuccessRate]]
    means: dict[tuple[str, str], MeanRate]
    comparisons: tuple[Comparison, ...]
    costs: dict[str, Cost]
    curves: Series | None
    demonstrations: Series | None
    perturbed: tuple[Perturbed, ...]
    severities: tuple[Severity, ...]
    reading: tuple[str, ...]
    remarks: tuple[str, ...]

    def deciding(self) -> dict[tuple[str, str], SuccessRate]:
        """(method, task) → the success that decides on the task."""
        return {key: self.rates[deciding_flag(key[1])][key] for key in self.rates[ANY]}

    def beside(self) -> dict[tuple[str, str], SuccessRate]:
        """(method, task) → the success that does not decide there."""
        other = {ANY: END, END: ANY}
        return {key: self.rates[other[deciding_flag(key[1])]][key] for key in self.rates[ANY]}

    def overall(self) -> dict[str, MeanRate]:
        """Method → mean over the common tasks."""
        return {m: self.means[m, ALL] for m in self.results.methods if (m, ALL) in self.means}


def analyze(results: Results) -> Analysis:
    """Computes every number of a report."""
    common = results.common_tasks()
    comparisons, alone = compare_with_baseline(results)
    rates = {flag: _rates(results, flag) for flag in (ANY, END)}
    draft = Analysis(
        results=results,
        common=common,
        rates=rates,
        means=_means(results, common),
        comparisons=tuple(comparisons),
        costs={method: cost_of(results, method) for method in results.methods},
        curves=learning_curves(results),
        demonstrations=demonstration_counts(results),
        perturbed=tuple(robustness(results)),
        severities=tuple(severities(results)),
        reading=(),
        remarks=tuple(remarks(results, alone)),
    )
    reading = honest_reading(results, draft.overall(), comparisons, draft.deciding())
    return dataclasses.replace(draft, reading=tuple(reading))


def _rates(results: Results, flag: str) -> dict[tuple[str, str], SuccessRate]:
    found = {}
    for method in results.methods:
        for task, cell in outcomes(results.of(method), flag=flag).items():
            flags = [flag for episodes in cell.values() for flag in episodes.values()]
            found[method, task] = success_rate(flags)
    return found


def _means(results: Results, common: tuple[str, ...]) -> dict[tuple[str, str], MeanRate]:
    groups = {g: [t for t in tasks if t in common] for g, tasks in results.groups().items()}
    groups[ALL] = list(common)
    found = {}
    for method in results.methods:
        cells = outcomes(results.of(method))
        effect = design_effect(list(cells.values()))
        for group, tasks in groups.items():
            if tasks:
                found[method, group] = mean_rate(
                    {task: cells[task] for task in tasks}, effect=effect
                )
    return found


def summary(analysis: Analysis) -> dict[str, Any]:
    """All numbers as JSON has them, by method and task."""
    results = analysis.results
    success: dict[str, Any] = {}
    for method in results.methods:
        success[method] = {
            task: {
                "training_seeds": [record.seed for record in results.of(method, task)],
                "decides": deciding_flag(task),
                **{flag: _plain(analysis.rates[flag][method, task]) for flag in (ANY, END)},
                "dp3_top5": mean_top5(results, method, [task]),
            }
            for task in results.tasks_of(method)
        }
    means: dict[str, Any] = {method: {} for method in results.methods}
    for (method, group), mean in analysis.means.items():
        means[method][group] = _plain(mean)
    return {
        "demonstrations": results.demonstrations,
        "baseline": results.baseline,
        "groups": {group: list(tasks) for group, tasks in results.groups().items()},
        "common_tasks": list(analysis.common),
        "success": success,
        "means_over_common_tasks": means,
        "comparisons": [_plain(each) for each in analysis.comparisons],
        "cost": {method: _plain(cost) for method, cost in analysis.costs.items()},
        "learning_curves": _plain(analysis.curves),
        "demonstration_counts": _plain(analysis.demonstrations),
        "robustness": [_plain(row) for row in analysis.perturbed],
        "robustness_by_severity": [_plain(each) for each in analysis.severities],
        "reading": list(analysis.reading),
        "remarks": list(analysis.remarks),
    }


def _plain(value: Any) -> Any:
    return None if value is None else dataclasses.asdict(value)
