"""``mfpolicy data check``: what is wrong with a dataset, and a repair into a new one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from mfpolicy.cli.console import output, print_rows, progress_bar
from mfpolicy.cli.datasets import VERBS
from mfpolicy.cli.datasets.outcome import episodes_bar
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import DataCheckConfig, compose

if TYPE_CHECKING:
    from mfpolicy.data.checking import CheckReport, Finding, RepairReport

ERRORS_FOUND = 1
_COLORS = {"error": "bold red", "warning": "yellow", "note": "dim"}


def run(words: Sequence[str]) -> int:
    """Checks the dataset that the words name; 0 where no error was found, else 1."""
    if answers_itself("data check", words, what=VERBS["check"]):
        return 0
    config: DataCheckConfig = compose("data check", words)
    from mfpolicy.data.checking import CheckLimits, repair

    limits = CheckLimits(**asdict(config.limits))
    report = _checked(config.dataset, limits)
    if not config.json:
        _print(report)  # first: a repair may be refused because of what was found
    mended, after = None, report
    if config.fix and config.out is not None:
        with episodes_bar("repair") as show:
            mended = repair(report, config.out, progress=show)
        after = _checked(str(mended.path), limits)
    if config.json:
        _print_json(report, mended, after)
    elif mended is not None:
        _print_repair(mended, after)
    wrong = after.errors + (after.warnings if config.strict else 0)
    return ERRORS_FOUND if wrong else 0


def _checked(path: str, limits) -> CheckReport:
    from mfpolicy.data.checking import check_dataset

    with progress_bar("check", None, "") as show:
        return check_dataset(path, limits=limits, progress=_shown(show))


def _shown(show: Callable[..., None]) -> Callable[[int, int, str], None]:
    return lambda done, all, array: show(done, array, all)


def _print_json(report: CheckReport, mended: RepairReport | None, after: CheckReport) -> None:
    content = report.to_dict()
    if mended is not None:
        content["repair"] = {
            "dataset": str(mended.path),
            "episodes": mended.episodes,
            "steps": mended.steps,
            "actions": mended.actions,
            "findings": after.to_dict()["findings"],
        }
    print(json.dumps(content, indent=2))


def _print(report: CheckReport) -> None:
    from rich.markup import escape
    from rich.table import Table

    console = output()
    if report.findings:
        table = Table(box=None, pad_edge=False)
        for title in ("", "code", "where", "what is there", "what to do"):
            table.add_column(title, overflow="fold")
        for finding in report.findings:
            table.add_row(
                f"[{_COLORS[finding.severity]}]{finding.severity}[/]", finding.code,
                escape(_where(finding)), escape(finding.received), escape(finding.remedy),
            )  # fmt: skip
        console.print(table)
        for code, more in report.hidden.items():
            console.print(f"and {more} more of {code}")
    print_rows(console, _rows(report))


def _where(finding: Finding) -> str:
    parts = [finding.array or ""]
    if finding.episode is not None:
        parts.append(f"episode {finding.episode}")
    if finding.step is not None:
        more = f" ({finding.steps} steps)" if finding.steps > 1 else ""
        parts.append(f"step {finding.step}{more}")
    return ", ".join(part for part in parts if part)


def _rows(report: CheckReport) -> list[tuple[str, str]]:
    from mfpolicy.data.inside import plain

    return [
        ("dataset", plain(report.path)),
        ("looked at", f"{report.episodes} episodes, {report.steps} steps, "
                      f"{', '.join(report.arrays) or 'no array'}"),
        ("found", f"{report.errors} errors, {report.warnings} warnings, {report.notes} notes"),
        ("time", f"{report.seconds:.1f} s"),
    ]  # fmt: skip


def _print_repair(mended: RepairReport, after: CheckReport) -> None:
    console = output()
    console.print()
    console.print("repaired:")
    for action in mended.actions:
        console.print(f"  {action}", markup=False)
    if after.errors:
        console.print("[bold red]the new dataset has errors still:[/]")
        _print(after)
        return
    rows = [
        ("new dataset", str(mended.path)),
        ("episodes", f"{mended.episodes}, {mended.steps} steps"),
        ("left as found", f"{after.warnings} warnings, {after.notes} notes"),
    ]
    print_rows(console, rows)
