"""Which records a report is made of, and their outcomes by method, task and seeds."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mfpolicy.benchmark.record import LAST, CellRecord, Outcome, read_records
from mfpolicy.errors import ConfigError, RunError, did_you_mean
from mfpolicy.evaluation.aggregates import Cell

GROUPS = ("easy", "medium", "hard", "very hard", "adroit")
ANY, END = "success_any", "success_end"
SUITES_AT_END = ("adroit",)
"""Where the literature, and this package, counts success at the end of an episode."""


def deciding_flag(task: str) -> str:
    """Which success decides on a task: at any step, or at the end.

    Example:
        >>> deciding_flag("metaworld/push"), deciding_flag("adroit/pen")
        ('success_any', 'success_end')
    """
    return END if task.partition("/")[0] in SUITES_AT_END else ANY


@dataclass(frozen=True)
class Results:
    """Records of one number of demonstrations, and those of the others beside them.

    Attributes:
        records: of the tables, by task, method and seed. demonstrations: what they learnt from.
        others: records of other numbers of demonstrations.
        methods: in the order of the columns. tasks: by difficulty and name.
        difficulty: of each task.
        baseline: the method that others are compared with, None where there is none.
        duplicates: what was left out since a later record of the same cell is there.
    """

    records: tuple[CellRecord, ...]
    demonstrations: int
    others: tuple[CellRecord, ...]
    methods: tuple[str, ...]
    tasks: tuple[str, ...]
    difficulty: dict[str, str]
    baseline: str | None
    duplicates: tuple[str, ...]

    def of(self, method: str, task: str | None = None) -> list[CellRecord]:
        """The records of a method, of one task or of all."""
        return [r for r in self.records if r.method == method and task in (None, r.task)]

    def tasks_of(self, method: str) -> tuple[str, ...]:
        """The tasks that a method has records of."""
        have = {record.task for record in self.of(method)}
        return tuple(task for task in self.tasks if task in have)

    def common_tasks(self, methods: Sequence[str] | None = None) -> tuple[str, ...]:
        """The tasks that all of the methods have."""
        have = [set(self.tasks_of(method)) for method in methods or self.methods]
        return tuple(task for task in self.tasks if all(task in each for each in have))

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Difficulty → its tasks."""
        named = {self.difficulty[task]: None for task in self.tasks}
        return {
            group: tuple(task for task in self.tasks if self.difficulty[task] == group)
            for group in named
        }


def collect_records(folders: Sequence[str | Path]) -> list[CellRecord]:
    """Reads all records below several folders.

    Raises:
        RunError: a folder is missing, a record is damaged, or there is none.
    """
    found = [record for folder in folders for record in read_records(folder)]
    if not found:
        raise RunError(
            "a report needs records",
            received=", ".join(map(str, folders)),
            remedy="`mfpolicy benchmark run … records=FOLDER` writes them to "
            "FOLDER/SUITE/TASK/METHOD/d…-s….json",
        )
    return found


def select(
    records: Iterable[CellRecord],
    *,
    methods: Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
    demonstrations: int | None = None,
    baseline: str | None = None,
) -> Results:
    """Chooses what a report is about; of several records of one cell the latest counts.

    Args:
        records: of any methods, tasks and numbers of demonstrations.
        methods: names, in the order of the columns; None takes all, the baseline first.
        tasks: full names; None takes all.
        demonstrations: of the tables; None takes the number that most cells have.
        baseline: None takes mp1 where there is such a method.

    Raises:
        ConfigError: a name is in no record, or nothing is left.
    """
    latest, duplicates = _latest(records)
    _known("method", {record.method for record in latest}, methods or [])
    if baseline is not None:
        _known("method", set(methods or {record.method for record in latest}), [baseline])
    chosen = [
        record
        for record in latest
        if (methods is None or record.method in methods) and (tasks is None or record.task in tasks)
    ]
    counts = Counter(record.demonstrations for record in chosen)
    number = demonstrations or max(counts, key=lambda n: (counts[n], n), default=0)
    main = [record for record in chosen if record.demonstrations == number]
    if not main:
        raise ConfigError(
            "no record is left for the tables",
            received={"methods": methods, "tasks": tasks, "demonstrations": demonstrations},
            remedy=f"there are records of {_there_is(latest)}",
        )
    names = {record.method for record in main}
    baseline = baseline or ("mp1" if "mp1" in names else None)
    order = methods or sorted(names, key=lambda name: (name != baseline, name))
    difficulty = {record.task: record.difficulty for record in main}
    ranks = {group: rank for rank, group in enumerate(GROUPS)}
    ordered = sorted(difficulty, key=lambda task: (ranks.get(difficulty[task], 99), task))
    return Results(
        records=tuple(main),
        demonstrations=number,
        others=tuple(record for record in chosen if record.demonstrations != number),
        methods=tuple(name for name in order if name in names),
        tasks=tuple(ordered),
        difficulty=difficulty,
        baseline=baseline if baseline in names else None,
        duplicates=tuple(duplicates),
    )


def outcomes(
    records: Iterable[CellRecord], *, evaluation: str = LAST, flag: str | None = None
) -> dict[str, Cell]:
    """Task → training seed → evaluation seed → success; of records of one method.

    Args:
        records: each of another task or training seed.
        evaluation: which; cells without it are left out.
        flag: which success; None takes the one that decides on the task.
    """
    table: dict[str, dict[int, Mapping[int, bool]]] = {}
    for record in records:
        if evaluation in record.evaluations:
            ends = successes(record.evaluations[evaluation].episodes, record.task, flag)
            table.setdefault(record.task, {})[record.seed] = ends
    return dict(table)


def successes(episodes: Iterable[Outcome], task: str, flag: str | None = None) -> dict[int, bool]:
    """Evaluation seed → success."""
    return {each.seed: getattr(each, flag or deciding_flag(task)) for each in episodes}


def cell_name(record: CellRecord) -> str:
    """The cell in words."""
    return f"{record.task} {record.method} d{record.demonstrations}-s{record.seed}"


def _latest(records: Iterable[CellRecord]) -> tuple[list[CellRecord], list[str]]:
    """One record of each cell, sorted; and the names of those of which there were others."""
    kept: dict[tuple[str, str, int, int], CellRecord] = {}
    twice: dict[str, None] = {}
    for record in records:
        _check(record)
        key = (record.task, record.method, record.demonstrations, record.seed)
        if key in kept and kept[key] != record:
            twice[cell_name(record)] = None
        if key not in kept or _time(record) > _time(kept[key]):
            kept[key] = record
    return [kept[key] for key in sorted(kept)], list(twice)


def _time(record: CellRecord) -> float:
    return datetime.datetime.fromisoformat(record.time).timestamp()


def _check(record: CellRecord) -> None:
    """What a record may say by its form and a report cannot be made of."""
    fault = None
    try:
        _time(record)
    except ValueError:
        fault = ("time must be ISO 8601", record.time)
    for name, evaluation in record.evaluations.items():
        seeds = [episode.seed for episode in evaluation.episodes]
        if len(set(seeds)) < len(seeds):
            fault = (f"evaluation {name!r} must have one episode of each seed", seeds)
    if fault is not None:
        raise RunError(
            f"the record of {cell_name(record)} is damaged: {fault[0]}",
            received=fault[1],
            remedy="restore it, or remove it and run the cell again",
        )


def _known(what: str, known: set[str], given: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(
                f"no record is of this {what}", received=name, remedy=did_you_mean(name, known)
            )


def _there_is(records: Sequence[CellRecord]) -> str:
    methods = sorted({record.method for record in records})
    numbers = sorted({record.demonstrations for record in records})
    return f"methods {', '.join(methods)} and {', '.join(map(str, numbers))} demonstrations"
