"""Which task a policy of several is told to do, and how it is made one of one task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mfpolicy.errors import ConfigError, ObservationError, did_you_mean
from mfpolicy.types import Observation

if TYPE_CHECKING:
    from mfpolicy.policy.spec import PolicySpec


def task_numbers(
    observation: Observation | Mapping[str, Any],
    spec: PolicySpec,
    rows: int,
    device: torch.device,
) -> torch.Tensor | None:
    """Returns the number of each row's task (B,) int64; None where there is one task to do.

    Args:
        observation: ``task`` is a name, a sequence of B names, or an array of B numbers.
        spec: of the policy.
        rows: B.
        device: where the numbers go.

    Raises:
        ObservationError: a task is not one of the policy's, there are not B of them, or there are
            several to do and none is named. A policy that is told no tasks looks at none.
    """
    if not spec.multitask:
        return None
    mapping = isinstance(observation, Mapping)
    told = observation.get("task") if mapping else observation.task
    if told is None and not spec.several:
        return None
    if told is None:
        raise ObservationError(
            "an observation for a policy of several tasks must name one, under the key 'task'",
            received=sorted(observation) if mapping else "no task",
            remedy=f"give one of {', '.join(spec.tasks)}; or take policy.for_task(…)",
        )
    if isinstance(told, (torch.Tensor, np.ndarray)):
        return _checked(torch.as_tensor(told).to(device), rows, len(spec.tasks))
    names = [told] * rows if isinstance(told, str) else list(_sequence(told))
    if len(names) != rows:
        raise ObservationError(
            f"task must be one name, or one for each of the {rows} rows", received=told
        )
    known = {name: number for number, name in enumerate(spec.tasks)}
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise ObservationError(
                "task must be one that the policy was trained for",
                received=name,
                remedy=did_you_mean(str(name), known),
            )
    return torch.tensor([known[name] for name in names], device=device)


def require_one_task(spec: PolicySpec) -> None:
    """Refuses a policy that must be told its task where nobody can tell it.

    Raises:
        ConfigError: it has several; the message names them.
    """
    if spec.several:
        raise ConfigError(
            "what runs without being told a task needs a policy of one",
            received=f"one of {', '.join(spec.tasks)}",
            remedy="name the task with task=… (run_task of a robot's node), or in Python take "
            "policy.for_task(…)",
        )


def _sequence(told: Any) -> Sequence[Any]:
    if isinstance(told, Sequence):
        return told
    raise ObservationError(
        "task must be a name, a sequence of names, or an array of numbers",
        received=told,
        remedy="give the name of the task",
    )


def _checked(numbers: torch.Tensor, rows: int, tasks: int) -> torch.Tensor:
    whole = not numbers.is_floating_point() and tuple(numbers.shape) == (rows,)
    if not whole or int(numbers.min()) < 0 or int(numbers.max()) >= tasks:
        raise ObservationError(
            f"numbers of tasks must be {rows} whole numbers from 0 to {tasks - 1}",
            received=numbers.tolist(),
        )
    return numbers.long()
