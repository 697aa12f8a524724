"""Which windows a step sees where there are several tasks."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Protocol

import torch

from mfpolicy.config.schema import TrainConfig
from mfpolicy.data.joint import JointWindows, Windows
from mfpolicy.errors import ConfigError
from mfpolicy.training.randomness import BatchSampler, Shuffled


class Sampler(Protocol):
    """The rows of each step's batch."""

    def rows(self, step: int) -> torch.Tensor:
        """Rows (B,) int64 of the batch of this step."""
        ...


def sampler_of(windows: Windows, config: TrainConfig) -> Sampler:
    """Returns what a run samples with: evenly over tasks where it has several and says so.

    Raises:
        ConfigError: the batch is larger than the data.
    """
    batch_size, several = config.training.batch_size, config.multitask
    if isinstance(windows, JointWindows) and several is not None and several.sampling == "task":
        return TaskSampler(windows.tasks, windows.sizes, batch_size=batch_size, seed=config.seed)
    return BatchSampler(len(windows), batch_size=batch_size, seed=config.seed)


class TaskSampler:
    """Takes tasks in turn, each from an endless run of its own shuffled epochs.

    Over K steps every task has as many rows as any other, however many windows it has. What a task
    shows first, second and so on depends on the seed and its name alone, not on the others.

    Args:
        tasks: names.
        sizes: windows of each, one task's behind another's.
        batch_size: rows per batch.
        seed: the run's seed.

    Raises:
        ConfigError: a task has fewer windows than its share of a batch.

    Example:
        >>> sampler = TaskSampler(["a", "b"], [2, 3], batch_size=4, seed=0)
        >>> sorted(row for row in sampler.rows(0).tolist() if row < 2)
        [0, 1]
    """

    def __init__(
        self, tasks: Sequence[str], sizes: Sequence[int], *, batch_size: int, seed: int
    ) -> None:
        share = -(-batch_size // len(tasks))
        small = {task: size for task, size in zip(tasks, sizes, strict=True) if size < share}
        if small:
            raise ConfigError(
                f"each task must have at least {share} windows, its share of training.batch_size",
                received=small,
                remedy="lower training.batch_size, or set multitask.sampling=window",
            )
        self.batch_size = batch_size
        self._runs = [
            Shuffled(size, seed=seed, of=zlib.crc32(task.encode()))
            for task, size in zip(tasks, sizes, strict=True)
        ]
        self._first = [sum(sizes[:n]) for n in range(len(sizes))]

    def rows(self, step: int) -> torch.Tensor:
        """Rows (B,) int64 of the batch of this step."""
        places = step * self.batch_size + torch.arange(self.batch_size)
        turn, drawn = places % len(self._runs), places // len(self._runs)
        rows = torch.empty_like(places)
        for number, run in enumerate(self._runs):
            mine = turn == number
            rows[mine] = self._first[number] + run.at(drawn[mine])
        return rows
