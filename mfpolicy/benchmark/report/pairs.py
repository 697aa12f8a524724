"""Every method beside the baseline: on the same task, training seed and initial states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mfpolicy.benchmark.report.results import Results, outcomes
from mfpolicy.evaluation.aggregates import (
    Cell,
    MeanDifference,
    mean_difference,
    paired_cells,
    paired_effect,
)
from mfpolicy.evaluation.improvement import Improvement, holm, probability_of_improvement

ALPHA = 0.05


@dataclass(frozen=True)
class TaskComparison:
    """One method against the baseline on one task.

    Attributes:
        task: its name. result: the difference.
        adjusted_p: McNemar's p after Holm's correction over the tasks of this method.
    """

    task: str
    result: MeanDifference
    adjusted_p: float

    @property
    def verdict(self) -> int:
        """1 where the method leads, -1 where it is behind, 0 where that is not decided.

        Both must say so: the exact test, corrected for the number of tasks, and the interval,
        which knows of the training seeds where there are several.
        """
        low, high = self.result.interval
        if self.adjusted_p >= ALPHA or low <= 0 <= high:
            return 0
        return 1 if low > 0 else -1


@dataclass(frozen=True)
class Comparison:
    """One method against the baseline, over all tasks that both have.

    Attributes:
        method, baseline: their names.
        tasks: one by one. groups: by difficulty. overall: over all of them.
        improvement: probability that a run of the method is better than one of the baseline.
    """

    method: str
    baseline: str
    tasks: tuple[TaskComparison, ...]
    groups: dict[str, MeanDifference]
    overall: MeanDifference
    improvement: Improvement

    def where(self, verdict: int) -> list[str]:
        """The tasks with this verdict."""
        return [each.task for each in self.tasks if each.verdict == verdict]


def compare_with_baseline(results: Results) -> tuple[list[Comparison], list[str]]:
    """Compares every other method with the baseline.

    Returns:
        The comparisons, and the names of the methods that have no pair with it.
    """
    baseline = results.baseline
    if baseline is None:
        return [], []
    reference = outcomes(results.of(baseline))
    found, alone = [], []
    for method in results.methods:
        if method == baseline:
            continue
        compared = _compare(results, method, outcomes(results.of(method)), baseline, reference)
        if compared is None:
            alone.append(method)
        else:
            found.append(compared)
    return found, alone


def _compare(
    results: Results,
    method: str,
    own: Mapping[str, Cell],
    baseline: str,
    reference: Mapping[str, Cell],
) -> Comparison | None:
    tasks = [
        task
        for task in results.tasks
        if task in own and task in reference and paired_cells(own[task], reference[task])
    ]
    if not tasks:
        return None
    effect = paired_effect(own, reference)

    def difference(chosen: Sequence[str]) -> MeanDifference:
        ours, theirs = ({task: each[task] for task in chosen} for each in (own, reference))
        return mean_difference(ours, theirs, effect=effect)

    differences = [difference([task]) for task in tasks]
    adjusted = holm([each.p_value for each in differences])
    in_groups = {
        group: [task for task in members if task in tasks]
        for group, members in results.groups().items()
    }
    ours, theirs = ({t: _scores(each[t]) for t in tasks} for each in (own, reference))
    return Comparison(
        method=method,
        baseline=baseline,
        tasks=tuple(map(TaskComparison, tasks, differences, adjusted)),
        groups={group: difference(members) for group, members in in_groups.items() if members},
        overall=difference(tasks),
        improvement=probability_of_improvement(ours, theirs),
    )


def _scores(cell: Cell) -> list[float]:
    """Success rate of each training seed."""
    return [float(np.mean(list(episodes.values()))) for episodes in cell.values()]
