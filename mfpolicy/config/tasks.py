"""One task with its dataset, or several with one each, as a configuration names them."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

from mfpolicy.config.checks import not_empty, one_of
from mfpolicy.errors import ConfigError

SAMPLINGS = ("task", "window")
OneOrSeveral = str | tuple[str, ...]


@dataclass(frozen=True)
class MultitaskConfig:
    """Of a policy of several tasks.

    Attributes:
        condition: what tells the policy its task, registered name under ``name`` and its options.
        sampling: ``task``, every task as often as any other, or ``window``, every window.
    """

    condition: dict[str, Any]
    sampling: str

    def __post_init__(self) -> None:
        if not isinstance(self.condition.get("name"), str):
            raise ConfigError("multitask.condition must have a name", received=self.condition)
        one_of(SAMPLINGS, **{"multitask.sampling": self.sampling})


def as_tuple(value: OneOrSeveral) -> tuple[str, ...]:
    """Returns one name, or several, as several."""
    return (value,) if isinstance(value, str) else tuple(value)


def check_tasks(task: OneOrSeveral, data: OneOrSeveral) -> None:
    """Refuses tasks and datasets that do not belong to one another one by one.

    Raises:
        ConfigError: one is blank or named twice, there are not as many of both, or several are
            written without brackets.
    """
    tasks, datasets = as_tuple(task), as_tuple(data)
    for name in tasks:
        not_empty(task=name)
        if "," in name:
            raise ConfigError(
                "the name of a task has no comma in it",
                received=name,
                remedy=f"write a policy of several tasks as task=[{name}] data=[…,…]; "
                "`mfpolicy sweep` trains one of each",
            )
    for path in datasets:
        not_empty(data=path)
    if not tasks or len(tasks) != len(datasets):
        raise ConfigError(
            "every task must have one dataset: as many in data=[…] as in task=[…], in their order",
            received=f"{len(tasks)} tasks, {len(datasets)} datasets",
            remedy="name the dataset of each; several datasets of one task are joined by "
            "`mfpolicy data merge`",
        )
    for key, values in (("task", tasks), ("data", [os.path.realpath(p) for p in datasets])):
        (most, times), *_ = Counter(values).most_common(1)
        if times > 1:
            raise ConfigError(
                f"each {key} must be named once",
                received=most,
                remedy="join several datasets of one task with `mfpolicy data merge`"
                if key == "task"
                else "give the dataset of each task",
            )
