"""All findings together, as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mfpolicy.doctor.check import Check
from mfpolicy.doctor.hardware import check_disk, check_open3d, check_rendering, check_torch
from mfpolicy.doctor.software import (
    check_import_name,
    check_packages,
    check_physics_pair,
    check_python,
)

if TYPE_CHECKING:
    from rich.console import Console

MARKS = {
    "ok": "[green]ok[/]",
    "optional": "[dim]optional[/]",
    "warning": "[yellow]warning[/]",
    "missing": "[red]missing[/]",
}


def examine(folder: Path = Path()) -> list[Check]:
    """Runs every check; the machine can do the main job if none of them is ``missing``.

    Args:
        folder: where datasets and runs would be written.
    """
    return [
        check_python(),
        *check_packages(),
        check_physics_pair(),
        check_import_name("envs"),
        check_import_name("real_robot"),
        check_open3d(),
        *check_rendering(),
        *check_torch(),
        check_wandb(),
        check_disk(folder),
    ]


def check_wandb() -> Check:
    """Where ``logging.wandb=auto`` would log to."""
    from mfpolicy.training.logging import has_wandb_key

    if has_wandb_key():
        return Check("wandb", "ok", "online: a key is configured")
    return Check("wandb", "ok", "offline: no key is configured, and none is needed")


def print_table(console: Console, checks: Sequence[Check]) -> None:
    """Prints the findings and, last, the verdict."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("check", "", "found", "remedy", box=None, padding=(0, 2, 0, 0))
    for check in checks:
        table.add_row(
            escape(check.name), MARKS[check.status], escape(check.detail), escape(check.remedy)
        )
    console.print(table)
    missing = [check.name for check in checks if check.status == "missing"]
    if missing:
        console.print(f"\nEssential and missing: {escape(', '.join(missing))}.")
    else:
        console.print("\nThis machine can collect, train and evaluate.")
