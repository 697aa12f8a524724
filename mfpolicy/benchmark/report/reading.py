"""What the numbers say, and what they do not, in sentences made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mfpolicy.benchmark.report.pairs import Comparison
from mfpolicy.benchmark.report.results import Results
from mfpolicy.benchmark.report.table import percent, points
from mfpolicy.evaluation.aggregates import MeanRate
from mfpolicy.evaluation.statistics import SuccessRate

WEAK = 0.5


def honest_reading(
    results: Results,
    means: Mapping[str, MeanRate],
    comparisons: Sequence[Comparison],
    rates: Mapping[tuple[str, str], SuccessRate],
) -> list[str]:
    """Sentences: who leads and who does not, what overlaps, what fails, what is not known.

    Args:
        results: that all is of.
        means: method → mean over the tasks that all have; empty where there are none.
        comparisons: with the baseline.
        rates: (method, task) → success.
    """
    return [
        *_ranking(means),
        *(_against(each) for each in comparisons),
        *_weak(results, rates),
        *_unknown(results),
    ]


def _ranking(means: Mapping[str, MeanRate]) -> list[str]:
    if len(means) < 2:
        return []
    highest = max(mean.rate for mean in means.values())
    best = [method for method in means if means[method].rate == highest]
    rest = sorted((m for m in means if m not in best), key=lambda method: -means[method].rate)
    top = means[best[0]]
    said = (
        f"Highest mean over {_tasks(top.tasks)}: {' and '.join(best)}, "
        f"{percent(top.rate, top.interval)} %."
    )
    overlapping = [m for m in rest if means[m].interval[1] >= top.interval[0]]
    if overlapping:
        others = "; ".join(f"{m} {percent(means[m].rate, means[m].interval)}" for m in overlapping)
        return [
            f"{said} The intervals of {len(overlapping)} of the {len(rest)} others overlap with "
            f"it, so the means alone do not order them: {others}."
        ]
    return [f"{said} No other method's interval overlaps with it."] if rest else [said]


def _against(comparison: Comparison) -> str:
    overall = comparison.overall
    low, high = overall.interval
    text = points(overall.difference, overall.interval)
    if low > 0:
        said = f"{comparison.method} leads {comparison.baseline}"
    elif high < 0:
        said = f"{comparison.method} is behind {comparison.baseline}"
    else:
        said = f"{comparison.method} is not told apart from {comparison.baseline}"
    parts = [f"{said}: {text} points over {_tasks(overall.tasks)}, {overall.pairs} pairs"]
    parts.append(_listed("significantly better on", comparison.where(1)))
    parts.append(_listed("significantly worse on", comparison.where(-1)))
    undecided = len(comparison.where(0))
    parts.append(f"not decided on {undecided} of {len(comparison.tasks)}" if undecided else "")
    return "; ".join(part for part in parts if part) + "."


def _weak(results: Results, rates: Mapping[tuple[str, str], SuccessRate]) -> list[str]:
    found = []
    for method in results.methods:
        tasks = [t for t in results.tasks_of(method) if rates[method, t].rate < WEAK]
        if tasks:
            shown = ", ".join(f"{task} {percent(rates[method, task].rate)}" for task in tasks)
            found.append(f"{method} fails more often than not on {_tasks(len(tasks))}: {shown} %.")
    return found


def _unknown(results: Results) -> list[str]:
    found = []
    single = []
    for method in results.methods:
        counts = [len(results.of(method, task)) for task in results.tasks_of(method)]
        if max(counts) == 1:
            single.append(method)
    if single:
        found.append(
            f"One training seed only: {', '.join(single)}. What another seed would have given is "
            "in none of their intervals, and a difference may be one between two trained policies "
            "and not between two methods."
        )
    return found


def _listed(what: str, tasks: Sequence[str]) -> str:
    return f"{what} {', '.join(tasks)}" if tasks else ""


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count} tasks"
