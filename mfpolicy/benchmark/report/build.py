"""The sections of a report, in the order in which they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mfpolicy.benchmark.report import tables
from mfpolicy.benchmark.report.analysis import Analysis, analyze, summary
from mfpolicy.benchmark.report.figures import draw_latency, draw_tasks
from mfpolicy.benchmark.report.figures_series import draw_robustness, draw_series, draw_severities
from mfpolicy.benchmark.report.results import ANY, END, Results, deciding_flag
from mfpolicy.benchmark.report.table import Picture, Section, Table

MEANS = (
    "A mean counts every task alike. Its interval is Wilson's for an effective number of episodes: "
    "the tasks are strata, and training seeds and evaluation seeds are clusters where a method has "
    "several training seeds (mfpolicy.evaluation.aggregates)."
)
PAIRS = (
    "A pair shares task, training seed, demonstrations and evaluation seed. Differences with "
    "Newcombe's interval, likewise for an effective number of pairs; bold where it does not hold "
    "zero. McNemar's exact p is about these trained policies. The probability of improvement "
    "(Agarwal et al. 2021) is that of a run of the method to have a higher rate than a run of the "
    "baseline, ties counting one half; its interval is Wilson's over tasks."
)


@dataclass(frozen=True)
class Report:
    """A report before it is Markdown or HTML.

    Attributes:
        title: of it. sections: of it. summary: its numbers as JSON has them.
    """

    title: str
    sections: tuple[Section, ...]
    summary: dict[str, Any]


def build_report(results: Results, *, title: str = "Benchmark") -> Report:
    """Computes and draws everything.

    Args:
        results: chosen by :func:`mfpolicy.benchmark.report.select`.
        title: of the report.

    Example:
        >>> results = select(collect_records(["records"]))     # doctest: +SKIP
        >>> build_report(results).sections[0].title            # doctest: +SKIP
        'Honest reading'
    """
    analysis = analyze(results)
    sections = [
        _reading(analysis),
        _success(analysis),
        _groups(analysis),
        *_comparisons(analysis),
        _costs(analysis),
        *_series(analysis),
        *_top5(analysis),
    ]
    return Report(title, tuple(sections), summary(analysis))


def _reading(analysis: Analysis) -> Section:
    results = analysis.results
    seeds = sorted({record.seed for record in results.records})
    episodes = sum(rate.n for rate in analysis.deciding().values())
    about = (
        f"{_counted(len(results.methods), 'method')} on {_counted(len(results.tasks), 'task')}, "
        f"{_counted(len(results.records), 'cell')} of {results.demonstrations} demonstrations, "
        f"training seeds {', '.join(map(str, seeds))}, {episodes} episodes. The last checkpoint "
        "counts, never the best. Intervals are of 95 %."
    )
    return Section("Honest reading", (about,), points=(*analysis.reading, *analysis.remarks))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _success(analysis: Analysis) -> Section:
    results = analysis.results
    first = _flag_words(results, other=False)
    second = _flag_words(results, other=True)
    caption = (
        f"Success {first}, in percent, with Wilson's interval of the episodes, "
        f"{_seed_words(results)}."
    )
    picture = Picture(
        "tasks",
        draw_tasks(results.tasks, results.methods, analysis.deciding()),
        f"Success {first} by task with Wilson intervals; a cross where a method has no record.",
    )
    text = (
        "These intervals are of the trained policies at hand; how training seeds differ is in the "
        "intervals of the means and of the paired differences below."
    )
    return Section(
        "Success by task",
        (text,),
        tables=(
            tables.task_table(results, analysis.deciding(), caption),
            tables.task_table(
                results,
                analysis.beside(),
                f"The other reading: success {second}, in percent.",
                folded=True,
            ),
        ),
        pictures=(picture,),
    )


def _groups(analysis: Analysis) -> Section:
    results, common = analysis.results, analysis.common
    if not common:
        text = "No task has records of all methods, so there is no mean to compare."
        return Section("Success by difficulty", (text,))
    left = [task for task in results.tasks if task not in common]
    text = [MEANS, f"Over the {len(common)} tasks that all methods have."]
    if left:
        text.append(f"Left out, since a method lacks them: {', '.join(left)}.")
    caption = "Mean success in percent over the tasks of a group."
    published = (
        "The published column is another metric (the mean of the five best evaluations of a "
        "training) on other assets, over the 37 tasks of that paper, as others quote them."
    )
    table = tables.group_table(results, analysis.means, caption)
    if len(table.head) > len(results.methods) + 2:
        text.append(published)
    return Section("Success by difficulty", tuple(text), tables=(table,))


def _comparisons(analysis: Analysis) -> list[Section]:
    if not analysis.comparisons:
        return []
    baseline = analysis.results.baseline
    overall = tables.overall_table(
        analysis.comparisons, f"Against {baseline}, over the tasks that both have."
    )
    single = [
        tables.pair_table(each, f"{each.method} against {baseline} by task and group.")
        for each in analysis.comparisons
    ]
    led = (
        "A task counts as led or behind where p, after Holm's correction over the tasks of the "
        "method, is below 0.05 and the interval does not hold zero."
    )
    return [Section("Paired comparisons", (PAIRS, led), tables=(overall, *single))]


def _costs(analysis: Analysis) -> Section:
    caption = (
        "Medians over the cells of a method: time of a decision, host observation in to host "
        "actions out, and wall-clock of a training. Success is the mean over the "
        f"{len(analysis.common)} tasks that all methods have."
    )
    overall = analysis.overall()
    table = tables.cost_table(analysis.results, analysis.costs, overall, caption)
    shown = [m for m in overall if analysis.costs[m].latency_ms]
    if not shown:
        text = ("No time of a decision was recorded.",)
        return Section("Success and cost", text, tables=(table,))
    picture = Picture(
        "latency",
        draw_latency(analysis.results.methods, overall, analysis.costs),
        "Mean success over common tasks against the time of a decision.",
    )
    return Section("Success and cost", tables=(table,), pictures=(picture,))


def _series(analysis: Analysis) -> list[Section]:
    found, methods = [], analysis.results.methods
    kinds = (
        ("Learning curves", "curves", analysis.curves, "training step", False),
        ("Demonstrations", "demonstrations", analysis.demonstrations, "demonstrations", True),
    )
    for title, name, series, axis, ticks in kinds:
        if series is not None:
            over = f"Mean success by {axis} over {', '.join(series.tasks)}."
            png = draw_series(series, methods, axis, ticks=ticks)
            found.append(Section(title, pictures=(Picture(name, png, over),)))
    if analysis.perturbed:
        caption = (
            "The same policies and evaluation seeds, something perturbed: success, and its paired "
            "change, over the tasks that all methods with the perturbation have."
        )
        change = Picture(
            "robustness",
            draw_robustness(analysis.perturbed, methods),
            "Change of success under each perturbation, percentage points.",
        )
        table = tables.robustness_table(analysis.perturbed, caption)
        pictures = (*_severities(analysis), change)
        found.append(Section("Robustness", tables=(table,), pictures=pictures))
    return found


def _severities(analysis: Analysis) -> list[Picture]:
    found = analysis.severities
    if not found:
        return []
    kinds = {each.tasks for each in found}
    over = ", ".join(found[0].tasks) if len(kinds) == 1 else "the tasks that all levels have"
    about = (
        f"Mean success against how much is changed, over {over}; the first point of each line is "
        "the same policies unperturbed, on the same initial states."
    )
    return [Picture("severity", draw_severities(found, analysis.results.methods), about)]


def _top5(analysis: Analysis) -> list[Section]:
    caption = (
        "dp3_top5, the mean of the five best evaluations along a training, in percent. It chooses "
        "checkpoints by their test score: for comparison with published tables only, which are of "
        "37 tasks, other assets and other experts, and as others quote them except DP3's."
    )
    table: Table | None = tables.top5_table(analysis.results, analysis.common, caption)
    return [] if table is None else [Section("The metric of the literature", tables=(table,))]


def _flag_words(results: Results, *, other: bool) -> str:
    flags = {deciding_flag(task) for task in results.tasks}
    if flags == {ANY, END}:
        return "at the end (Adroit: at any step)" if other else "at any step (Adroit: at the end)"
    return "at the end" if (flags == {END}) != other else "at any step"


def _seed_words(results: Results) -> str:
    """How many training seeds the cells of each method have."""
    kinds: dict[str, list[str]] = {}
    for method in results.methods:
        counts = {len(results.of(method, task)) for task in results.tasks_of(method)}
        text = str(min(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
        kinds.setdefault(text, []).append(method)
    if len(kinds) == 1:
        count = next(iter(kinds))
        return "one training seed a cell" if count == "1" else f"{count} training seeds together"
    said = ", ".join(f"{count} of {' and '.join(names)}" for count, names in kinds.items())
    return f"training seeds together: {said}"
