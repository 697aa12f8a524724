"""Windows of several datasets as one: each row knows which dataset it comes from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Protocol

import torch

from mfpolicy.data.dataset import WindowDataset
from mfpolicy.errors import DataError
from mfpolicy.types import Batch


class Windows(Protocol):
    """What a run trains on, of one dataset or of several.

    Attributes:
        points, point_dim, state_dim, action_dim: dimensions of the batches.
        device: where they live.
    """

    points: int
    point_dim: int
    state_dim: int
    action_dim: int
    device: torch.device

    def __len__(self) -> int:
        """Number of windows."""
        ...

    def batch(self, indices: torch.Tensor) -> Batch:
        """The windows ``indices`` (B,) int64 on the device."""
        ...

    def arrays(self) -> Iterator[dict[str, torch.Tensor]]:
        """All steps once, in blocks: point_cloud (n, P, C), agent_pos (n, S), action (n, A)."""
        ...


class JointWindows:
    """The windows of several datasets, one of each task, one after another.

    A batch keeps the order of its indices. Episodes and frames of different datasets have different
    numbers in it, and ``task`` is the place of a row's dataset among them.

    Args:
        parts: windows by task, in the order of the tasks' numbers, at least one.

    Attributes:
        points, point_dim, state_dim, action_dim, device: of all of them.
        tasks: names. sizes: windows of each.

    Raises:
        DataError: a dimension or the device of two parts differs; the message names it.

    Example:
        >>> windows = JointWindows({"metaworld/reach": a, "metaworld/push": b})  # doctest: +SKIP
        >>> windows.batch(torch.tensor([0, len(a)])).task                       # doctest: +SKIP
        tensor([0, 1])
    """

    def __init__(self, parts: Mapping[str, WindowDataset]) -> None:
        self._parts = list(parts.values())
        self.tasks, self.sizes = tuple(parts), tuple(len(part) for part in self._parts)
        for name in ("points", "point_dim", "state_dim", "action_dim", "device"):
            values = {task: getattr(part, name) for task, part in parts.items()}
            if len(set(values.values())) > 1:
                raise DataError(
                    f"datasets that are trained on together must have the same {name}",
                    received=values,
                )
        first = self._parts[0]
        self.points, self.point_dim = first.points, first.point_dim
        self.state_dim, self.action_dim = first.state_dim, first.action_dim
        self.device = first.device
        self._ends = torch.tensor(list(itertools.accumulate(self.sizes)))
        counts = [part.dataset.episode_count for part in self._parts]
        self._first_episode = [0, *itertools.accumulate(counts)]

    def __len__(self) -> int:
        """Number of windows of all datasets."""
        return int(self._ends[-1])

    def batch(self, indices: torch.Tensor) -> Batch:
        """Returns the windows ``indices`` (B,) int64 as a batch on the device.

        Raises:
            DataError: as of :meth:`WindowDataset.batch`.
        """
        indices = indices.cpu()
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < len(self):
            low, high = int(indices.min()), int(indices.max())
            raise DataError(
                f"indices of windows must lie from 0 to {len(self) - 1}", received=(low, high)
            )
        numbers = torch.searchsorted(self._ends, indices, right=True)  # (B,)
        places = [(numbers == n).nonzero().flatten() for n in range(len(self._parts))]
        rows = [self._own(n, indices[place]) for n, place in enumerate(places) if len(place)]
        rows = rows or [self._own(0, indices)]  # no row at all
        back = torch.cat(places).argsort().to(self.device)  # (B,)
        return Batch(
            **{
                name: torch.cat([own[name] for own in rows]).index_select(0, back)
                for name in rows[0]
            }
        )

    def arrays(self) -> Iterator[dict[str, torch.Tensor]]:
        """Yields all steps of all datasets once, in blocks, as :meth:`WindowDataset.arrays`."""
        for part in self._parts:
            yield from part.arrays()

    def _own(self, number: int, indices: torch.Tensor) -> dict[str, torch.Tensor]:
        """Rows of one dataset, with numbers that are theirs alone."""
        before = int(self._ends[number]) - self.sizes[number]
        fields = dict(vars(self._parts[number].batch(indices - before)))
        fields["episode"] = fields["episode"] + self._first_episode[number]
        fields["frame"] = fields["frame"] + before  # a window for every step
        fields["task"] = torch.full_like(fields["episode"], number)
        return fields
