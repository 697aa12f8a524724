"""What the commands that make a dataset from datasets show: a bar, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mfpolicy.cli.console import output, print_rows, progress_bar

if TYPE_CHECKING:
    from mfpolicy.data.editing import EditReport


@contextmanager
def episodes_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar that counts the episodes of an edit."""
    with progress_bar(label, None, "episodes") as show:
        yield lambda done, total: show(done, done, total)


def print_outcome(report: EditReport) -> None:
    """Prints what an edit came to."""
    rows = [
        ("dataset", str(report.path)),
        ("episodes", f"{report.episodes}, {report.steps} steps"),
        *report.notes.items(),
        ("time", f"{report.seconds:.1f} s"),
    ]
    print_rows(output(), rows)
