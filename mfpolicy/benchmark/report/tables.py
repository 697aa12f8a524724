"""The tables of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mfpolicy.benchmark.report.cost import Cost
from mfpolicy.benchmark.report.pairs import ALPHA, Comparison
from mfpolicy.benchmark.report.published import PUBLISHED, SIZES
from mfpolicy.benchmark.report.results import Results
from mfpolicy.benchmark.report.robustness import Perturbed
from mfpolicy.benchmark.report.series import mean_top5
from mfpolicy.benchmark.report.table import (
    EMPTY,
    Entry,
    Table,
    name,
    p_value,
    percent,
    points,
    seconds,
)
from mfpolicy.evaluation.aggregates import MeanDifference, MeanRate
from mfpolicy.evaluation.statistics import SuccessRate

Rates = Mapping[tuple[str, str], SuccessRate]


def task_table(results: Results, rates: Rates, caption: str, *, folded: bool = False) -> Table:
    """Task × method; the best of a row is emphasized.

    Args:
        results: that they are of.
        rates: (method, task) → success of all training seeds.
        caption: which success, and what the intervals are.
        folded: as in :class:`~mfpolicy.benchmark.report.table.Table`.
    """
    rows = []
    for task in results.tasks:
        here = {m: rates[m, task] for m in results.methods if (m, task) in rates}
        best = _best([rate.rate for rate in here.values()])
        entries = []
        for method in results.methods:
            rate = here.get(method)
            if rate is None:
                entries.append(EMPTY)
                continue
            strong = rate.rate == best
            text = percent(rate.rate, rate.interval)
            entries.append(Entry(text, rate.rate, strong=strong))
        rows.append((name(task), Entry(results.difficulty[task]), *entries))
    head = (Entry("task"), Entry("group"), *map(name, results.methods))
    return Table(caption, head, tuple(rows), folded)


def _best(rates: Sequence[float]) -> float | None:
    """The highest, None where no other is lower."""
    return max(rates) if len(set(rates)) > 1 else None


def group_table(results: Results, means: Mapping[tuple[str, str], MeanRate], caption: str) -> Table:
    """Group of tasks × method, then all tasks, over those that all methods have.

    Args:
        results: that they are of.
        means: (method, group) → mean; the group of all tasks is ``all``.
        caption: how the means were made.
    """
    groups = [group for group in (*results.groups(), "all") if _first(results, means, group)]
    published = any(group in SIZES for group in groups[:-1])
    rows = []
    for group in groups:
        first = _first(results, means, group)
        here = [means.get((method, group)) for method in results.methods]
        best = _best([each.rate for each in here if each])
        entries = [
            EMPTY
            if each is None
            else Entry(
                percent(each.rate, each.interval),
                each.rate,
                strong=each.rate == best,
            )
            for each in here
        ]
        tasks = first.tasks if first else 0
        row = (Entry(_group_name(group)), Entry(str(tasks), tasks), *entries)
        rows.append((*row, _published("MP1", group)) if published else row)
    head = (Entry("group"), Entry("tasks"), *map(name, results.methods))
    if published:
        head = (*head, Entry("MP1, published: dp3_top5, 37 tasks"))
    return Table(caption, head, tuple(rows))


def _first(
    results: Results, means: Mapping[tuple[str, str], MeanRate], group: str
) -> MeanRate | None:
    return next((means[m, group] for m in results.methods if (m, group) in means), None)


def top5_table(results: Results, common: Sequence[str], caption: str) -> Table | None:
    """``dp3_top5`` by group beside published figures; None where no method has it."""
    groups = {
        group: [task for task in tasks if task in common]
        for group, tasks in results.groups().items()
    } | {"all": list(common)}
    rows, known = [], False
    for group, tasks in groups.items():
        if not tasks:
            continue
        values = [mean_top5(results, method, tasks) for method in results.methods]
        known = known or any(value is not None for value in values)
        entries = [EMPTY if v is None else Entry(percent(v), v) for v in values]
        others = [_published(paper, group) for paper in PUBLISHED]
        count = Entry(str(len(tasks)), len(tasks))
        rows.append((Entry(_group_name(group)), count, *entries, *others))
    if not known:
        return None
    papers = [Entry(f"{paper}, published") for paper in PUBLISHED]
    head = (Entry("group"), Entry("tasks"), *map(name, results.methods), *papers)
    return Table(caption, head, tuple(rows))


def _published(paper: str, group: str) -> Entry:
    value = PUBLISHED[paper].get(group)
    return EMPTY if value is None else Entry(f"{value:.1f}", value / 100)


def _group_name(group: str) -> str:
    return "mean of all tasks" if group == "all" else group


def overall_table(comparisons: Sequence[Comparison], caption: str) -> Table:
    """Method against baseline over all common tasks."""
    rows = []
    for each in comparisons:
        low, high = each.improvement.interval
        chance = f"{each.improvement.probability:.2f} [{low:.2f}, {high:.2f}]"
        rows.append(
            (
                name(each.method),
                Entry(str(each.overall.tasks), each.overall.tasks),
                *_difference_entries(each.overall),
                Entry(chance, each.improvement.probability),
                Entry(_counts(each), len(each.where(1)) - len(each.where(-1))),
            )
        )
    head = (
        *("method", "tasks", "difference, points", "pairs", "only it / only the baseline"),
        *("McNemar's p", "probability of improvement", "tasks led / not decided / behind"),
    )
    return Table(caption, tuple(map(Entry, head)), tuple(rows))


def pair_table(comparison: Comparison, caption: str) -> Table:
    """One method against the baseline, by task and by group."""
    rows = []
    for each in comparison.tasks:
        entries = _difference_entries(each.result)
        adjusted = Entry(p_value(each.adjusted_p), each.adjusted_p, strong=each.adjusted_p < ALPHA)
        rows.append((name(each.task), *entries, adjusted))
    for group, result in comparison.groups.items():
        tasks = f"{group}: mean of {result.tasks}"
        rows.append((Entry(tasks), *_difference_entries(result), EMPTY))
    head = (
        *("task", "difference, points", "pairs", "only it / only the baseline", "McNemar's p"),
        "p, Holm",
    )
    return Table(caption, tuple(map(Entry, head)), tuple(rows), folded=True)


def _difference_entries(result: MeanDifference) -> tuple[Entry, ...]:
    low, high = result.interval
    return (
        Entry(
            points(result.difference, result.interval),
            result.difference,
            strong=low > 0 or high < 0,
        ),
        Entry(str(result.pairs), result.pairs),
        Entry(f"{result.only_a} / {result.only_b}", result.only_a - result.only_b),
        Entry(p_value(result.p_value), result.p_value),
    )


def _counts(comparison: Comparison) -> str:
    return " / ".join(str(len(comparison.where(verdict))) for verdict in (1, 0, -1))


def cost_table(
    results: Results, costs: Mapping[str, Cost], means: Mapping[str, MeanRate], caption: str
) -> Table:
    """Success beside the time of a decision, the size and the time of a training."""
    rows = []
    for method in results.methods:
        cost, mean = costs[method], means.get(method)
        times = [cost.latency_ms.get(each) for each in ("p50", "p95", "p99")]
        rows.append(
            (
                name(method),
                EMPTY if mean is None else Entry(percent(mean.rate, mean.interval), mean.rate),
                Entry(", ".join(map(str, cost.nfe)), cost.nfe[0]),
                *(EMPTY if each is None else Entry(f"{each:.2f}", each) for each in times),
                Entry(_count(cost.parameters), cost.parameters),
                Entry(seconds(cost.training_s), cost.training_s),
                Entry(", ".join(map(str, cost.steps)), cost.steps[0]),
            )
        )
    head = (
        *("method", "success, %", "NFE", "p50, ms", "p95, ms", "p99, ms", "parameters"),
        *("training", "steps"),
    )
    return Table(caption, tuple(map(Entry, head)), tuple(rows))


def _count(number: int) -> str:
    return f"{number / 1e6:.2f} M" if number >= 1e5 else f"{number / 1e3:.1f} k"


def robustness_table(rows: Sequence[Perturbed], caption: str) -> Table:
    """Perturbation × method: success under it, and the change."""
    lines = [
        (
            name(row.name),
            name(row.method),
            Entry(str(len(row.tasks)), len(row.tasks)),
            Entry(percent(row.rate.rate, row.rate.interval), row.rate.rate),
            Entry(points(row.change.difference, row.change.interval), row.change.difference),
            Entry(str(row.change.pairs), row.change.pairs),
        )
        for row in rows
    ]
    head = ("perturbation", "method", "tasks", "success, %", "change, points", "pairs")
    return Table(caption, tuple(map(Entry, head)), tuple(lines))
