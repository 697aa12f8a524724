"""Where tables and progress bars go."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 160


def output() -> Console:
    """A console on stdout; wide where no terminal limits it, so that a pipe gets whole words."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)


@contextmanager
def progress_bar(label: str, total: int | None, noun: str) -> Iterator[Callable[..., None]]:
    """A bar on a terminal's stderr, silent elsewhere; call it with what is done and a count.

    A third argument is the total, where that is known only later.

    Args:
        label: what is going on.
        total: what is to be done; None where that is not known yet.
        noun: what the count counts.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    console = Console(stderr=True)
    columns = [
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[count]} " + noun),
        Remaining(),
    ]
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total, count=0)
        yield lambda done, count, total=None: bar.update(
            task, completed=done, count=count, total=total
        )


def print_rows(console: Console, rows: Sequence[tuple[str, str]]) -> None:
    """Prints a short table of what was done and where it lies."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, escape(value))
    console.print(table)
