"""Which of several tasks a policy is to do → the part of its condition that says so."""

from __future__ import annotations

import copy
from typing import Self

import torch
from torch import nn

from mfpolicy.errors import ConfigError
from mfpolicy.options import check_whole
from mfpolicy.registry import Registry

TASK_CONDITIONS: Registry[TaskCondition] = Registry("task condition")


class TaskCondition(nn.Module):
    """The number of a task, (B,) int64 in [0, tasks) → a vector (B, output_dim).

    Args:
        tasks: K, at least 1.
        output_dim: size of the vector.

    Attributes:
        tasks, output_dim: as given.
    """

    def __init__(self, *, tasks: int, output_dim: int) -> None:
        super().__init__()
        check_whole("tasks", tasks, 1, 100_000)
        self.tasks, self.output_dim = tasks, output_dim

    def forward(self, task: torch.Tensor | None, rows: int) -> torch.Tensor:
        """Returns the vectors of ``rows`` rows; None stands for the one task that there is."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward()")

    def only(self, task: int) -> Self:
        """Returns the part that knows this one task and says of it what this one says."""
        raise NotImplementedError(f"{type(self).__name__} must implement only()")


@TASK_CONDITIONS.register("embedding")
class TaskEmbedding(TaskCondition):
    """A learned vector of each task.

    Args:
        tasks: K.
        dim: size of a vector, from 1 to 4096.

    Raises:
        ConfigError: a size is out of range; in a call, that several tasks need to be told apart.

    Example:
        >>> told = TaskEmbedding(tasks=3, dim=8)
        >>> told(torch.tensor([2, 0]), 2).shape
        torch.Size([2, 8])
        >>> bool((told.only(2)(None, 1) == told(torch.tensor([2]), 1)).all())
        True
    """

    def __init__(self, *, tasks: int, dim: int = 32) -> None:
        check_whole("dim", dim, 1, 4096)
        super().__init__(tasks=tasks, output_dim=dim)
        self.table = nn.Parameter(torch.randn(tasks, dim))

    def forward(self, task: torch.Tensor | None, rows: int) -> torch.Tensor:
        """See :class:`TaskCondition`."""
        if self.tasks == 1:
            return self.table.expand(rows, -1)
        if task is None:
            raise ConfigError(
                "a policy of several tasks must be told which one to do",
                received=f"{self.tasks} tasks, none named",
                remedy="name it, or take policy.for_task(…)",
            )
        # index_select: its gradient adds up in a fixed order on a CPU, that of indexing does not.
        return self.table.index_select(0, task)

    def only(self, task: int) -> Self:
        """See :class:`TaskCondition`."""
        single = copy.deepcopy(self)  # a new one would draw weights, and shift the caller's draws
        single.tasks = 1
        chosen = self.table.detach()[task : task + 1].clone()
        single.table = nn.Parameter(chosen, requires_grad=self.table.requires_grad)
        return single
