"""``mfpolicy tasks``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from mfpolicy.cli.console import output
from mfpolicy.cli.environments import simulators
from mfpolicy.cli.help import wants_help
from mfpolicy.config.overrides import parse
from mfpolicy.errors import ConfigError, did_you_mean
from mfpolicy.types import TaskSpec

HELP = """\
usage: mfpolicy tasks [SUITE] [difficulty=…] [set=…] [--json]

tasks: every task with its suite, difficulty, dimensions and expert

  suite=…         only the tasks of this suite; may be written bare
  difficulty=…    only easy, medium, hard, very_hard or adroit tasks
  set=…           only the tasks of a published comparison, for example mp1_37
  --json          the tasks as a list of objects

example:
  mfpolicy tasks metaworld difficulty=easy"""

FILTERS = ("suite", "difficulty", "set")


def run(words: Sequence[str]) -> int:
    """Prints the tasks that pass the filters."""
    if wants_help(words):
        print(HELP)
        return 0
    filters = parse([word for word in words if word != "--json"], positional="suite")
    tasks = list(simulators().tasks())
    for override in filters:
        tasks = _keep(tasks, override.key, override.value)
    if "--json" in words:
        print(json.dumps([dataclasses.asdict(task) for task in tasks], indent=2))
    else:
        _print_table(tasks)
    return 0


def _keep(tasks: Sequence[TaskSpec], key: str, value: str) -> list[TaskSpec]:
    if key not in FILTERS:
        raise ConfigError(
            "tasks can be filtered by suite, difficulty and set",
            received=key,
            remedy=did_you_mean(key, FILTERS),
        )
    if key == "set":
        members = simulators().task_set(value)
        return [task for task in tasks if task in members]
    wanted = value.strip("'\"").replace("_", " ")
    kept = [task for task in tasks if getattr(task, key) == wanted]
    if not kept:
        raise ConfigError(
            f"{key} must be one that a task has",
            received=value,
            remedy=did_you_mean(value, {getattr(task, key) for task in tasks}),
        )
    return kept


def _print_table(tasks: Sequence[TaskSpec]) -> None:
    from rich.table import Table

    table = Table("task", "difficulty", box=None, padding=(0, 2, 0, 0))
    for heading in ("state", "action", "horizon", "rate"):
        table.add_column(heading, justify="right")
    table.add_column("expert")
    for task in tasks:
        table.add_row(
            task.name,
            task.difficulty,
            str(task.state_dim),
            str(task.action_dim),
            str(task.horizon),
            f"{task.control_rate_hz:g} Hz",
            task.expert,
        )
    console = output()
    console.print(table)
    console.print(f"\n{len(tasks)} tasks")
