"""``mfpolicy benchmark report``."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch

from mfpolicy.cli.benchmarks import VERBS
from mfpolicy.cli.console import output, print_rows
from mfpolicy.cli.environments import simulators
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import BenchmarkReportConfig, compose
from mfpolicy.config.bench import names
from mfpolicy.config.benchmarking import read_suite, tasks_of
from mfpolicy.errors import ConfigError, did_you_mean


def run(words: Sequence[str]) -> int:
    """Writes a report and prints its honest reading."""
    if answers_itself("benchmark report", words, what=VERBS["report"]):
        return 0
    config: BenchmarkReportConfig = compose("benchmark report", words)
    from mfpolicy.benchmark.report import build_report, collect_records, select, write_report
    from mfpolicy.benchmark.report.write import check_out

    check_out(config.out)
    records = collect_records(names("records", config.records))
    results = select(
        records,
        methods=names("methods", config.methods) if config.methods else None,
        tasks=_tasks(config, sorted({record.task for record in records})),
        demonstrations=config.demonstrations,
        baseline=config.baseline,
    )
    report = build_report(results, title=config.title)
    page, text, *others = write_report(report, config.out)
    reading = report.sections[0]
    for line in (*reading.text, *(f"- {point}" for point in reading.points)):
        print(line)
    print()
    rows = [
        ("page", str(page)),
        ("Markdown", str(text)),
        ("beside them", ", ".join(path.name for path in others)),
    ]
    print_rows(output(), rows)
    return 0


def _tasks(config: BenchmarkReportConfig, recorded: Sequence[str]) -> list[str] | None:
    """The recorded tasks that suite and patterns leave; None where neither is given."""
    chosen = list(recorded)
    if config.suite is not None:
        envs = simulators()
        known = [spec.name for spec in envs.tasks()]
        members = tasks_of(read_suite(config.suite), known, envs.task_sets())
        chosen = [task for task in chosen if task in members]
    if config.tasks is not None:
        patterns = names("tasks", config.tasks)
        for pattern in patterns:
            if not any(fnmatch(task, pattern) for task in recorded):
                raise ConfigError(
                    "no record is of such a task",
                    received=pattern,
                    remedy=did_you_mean(pattern, recorded),
                )
        chosen = [task for task in chosen if any(fnmatch(task, each) for each in patterns)]
    return None if config.suite is None and config.tasks is None else chosen
