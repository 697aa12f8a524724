"""The simulators as the command line uses them: ours, and asked for tasks that exist."""

from __future__ import annotations

import importlib
from types import ModuleType

from mfpolicy.errors import BackendError


def simulators() -> ModuleType:
    """Returns the package ``envs``, making sure that it is ours.

    The package index has an unrelated distribution of this name.

    Raises:
        BackendError: the import name ``envs`` belongs to something else, or to nothing.
    """
    try:
        envs = importlib.import_module("envs")
    except ImportError as error:
        raise _not_ours(str(error)) from error
    if not hasattr(envs, "tasks"):
        raise _not_ours(getattr(envs, "__file__", None))
    return envs


def check_trainable(task: str, data: str) -> None:
    """Accepts a task that can be simulated, or that the dataset itself names (a real robot's).

    Raises:
        TaskError: neither; the message gives the nearest names.
        DataError: the dataset cannot be opened.
    """
    envs = simulators()
    if task in {spec.name for spec in envs.tasks()}:
        return
    from mfpolicy.data import open_dataset

    suites = {spec.suite for spec in envs.tasks()}
    if task.partition("/")[0] in suites or open_dataset(data).spec.task != task:
        envs.spec(task)


def _not_ours(received: str | None) -> BackendError:
    return BackendError(
        "the import name envs must lead to the simulators of mfpolicy",
        received=received,
        remedy="`mfpolicy doctor` says what stands in the way",
    )
