"""Windows of demonstrations as training batches, from memory on the device or streamed."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mfpolicy.data.frames import CloudStream, FrameReader
from mfpolicy.data.reader import Dataset
from mfpolicy.data.windows import window_indices
from mfpolicy.errors import ConfigError, DataError
from mfpolicy.types import Batch

MEMORY_BUDGET_BYTES = 4 << 30
"""What the data of a run may take on the device, where nothing else is said."""


class WindowDataset:
    """One training window for every step of every chosen episode (see ``window_indices``).

    Nothing is held out: ten episodes are ten episodes. Below the memory budget everything lies
    in tensors on the device that trains and a batch is a gather; above it the point clouds come
    from the disk, with the chunks used last in memory. Both give equal batches.

    Args:
        dataset: an open dataset.
        n_obs_steps: To.
        horizon: Th.
        n_action_steps: Ta.
        points: length of the prefix of each stored cloud; ``None`` takes all points.
        color: whether red, green and blue, from 0 to 255, follow x, y, z of each point.
        device: where batches live.
        memory_budget_bytes: what the data may take on the device.
        episodes: which episodes, in which order; ``None`` takes all.

    Attributes:
        points, point_dim, state_dim, action_dim, episode_count: dimensions of the batches.
        episodes: the chosen episodes, by their number in the dataset.
        streamed: whether the point clouds exceed the memory budget.

    Raises:
        ConfigError: the horizons do not fit together.
        DataError: more points than stored are asked for, or as many as cannot be divided among
            cameras whose clouds are kept apart, an episode does not exist or is named
            twice, a value is NaN or infinite, a chunk is damaged, or colors are wanted that are
            not stored.

    Example:
        >>> windows = WindowDataset(open_dataset("data/drawer-open.zarr"),   # doctest: +SKIP
        ...                         n_obs_steps=2, horizon=4, n_action_steps=3, points=256)
        >>> windows.batch(torch.arange(128)).point_cloud.shape              # doctest: +SKIP
        torch.Size([128, 2, 256, 3])
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        n_obs_steps: int,
        horizon: int,
        n_action_steps: int,
        points: int | None = None,
        color: bool = False,
        device: str | torch.device = "cpu",
        memory_budget_bytes: int = MEMORY_BUDGET_BYTES,
        episodes: Sequence[int] | None = None,
    ) -> None:
        self.dataset = dataset
        self.points = _checked_points(dataset, points)
        self.episodes = _checked_episodes(dataset, episodes)
        self.episode_count = len(self.episodes)
        self.state_dim, self.action_dim = dataset.spec.state_dim, dataset.spec.action_dim
        self.device = torch.device(device)
        bounds = [dataset.bounds(episode) for episode in self.episodes]
        ends = np.cumsum([stop - start for start, stop in bounds])
        self._ends, self._spans = ends, _merged(bounds)
        budget = self._budget_for_clouds(int(ends[-1]), n_obs_steps + horizon, memory_budget_bytes)
        self._set_windows(n_obs_steps, horizon, n_action_steps)

        self._reader = FrameReader(dataset, self.points, color=color)
        self.point_dim = self._reader.point_dim
        self._state = self._tensor(self._reader.rows("state", self._spans))  # (N, S)
        self._action = self._tensor(self._reader.rows("action", self._spans))  # (N, A)
        self.streamed = int(ends[-1]) * self._reader.cloud_bytes > budget
        if self.streamed:
            self._rows = np.concatenate([np.arange(*span) for span in self._spans])  # (N,)
            self._stream = CloudStream(self._reader, budget)
        else:
            self._clouds = self._load_clouds(int(ends[-1])).to(self.device)  # (N, P, C)

    def __len__(self) -> int:
        """Number of windows, which is the number of steps of the chosen episodes."""
        return len(self._step)

    def batch(self, indices: torch.Tensor) -> Batch:
        """Returns the windows ``indices`` (B,) int64 as a batch on the device.

        Raises:
            DataError: an index is out of range (checked for indices on the CPU), or, when
                streaming, a value is NaN or infinite or a chunk is damaged.
        """
        if indices.device.type == "cpu" and len(indices):
            low, high = int(indices.min()), int(indices.max())
            if low < 0 or high >= len(self):
                raise DataError(
                    f"indices of windows must lie from 0 to {len(self) - 1}", received=(low, high)
                )
        indices = indices.to(self.device)
        observed = self._observed[indices]  # (B, To)
        return Batch(
            point_cloud=self._gather_clouds(observed),
            agent_pos=self._state[observed],
            action=self._action[self._chunk[indices]],
            episode=self._episode[indices],
            step=self._step[indices],
            frame=observed,
        )

    def rewindowed(self, *, n_obs_steps: int, horizon: int, n_action_steps: int) -> WindowDataset:
        """Returns other windows of the same steps, which stay in memory once.

        Raises:
            ConfigError: the horizons do not fit together.
        """
        other = copy.copy(self)
        other._set_windows(n_obs_steps, horizon, n_action_steps)
        return other

    def arrays(self) -> Iterator[dict[str, torch.Tensor]]:
        """Yields all steps of the chosen episodes once, in order, in blocks.

        Each block has point_cloud (n, P, C), agent_pos (n, S) and action (n, A), on the device.
        """
        if not self.streamed:
            yield {"point_cloud": self._clouds, "agent_pos": self._state, "action": self._action}
            return
        first = 0
        for clouds in self._reader.cloud_blocks(self._spans):
            last = first + len(clouds)
            yield {
                "point_cloud": self._tensor(clouds),
                "agent_pos": self._state[first:last],
                "action": self._action[first:last],
            }
            first = last

    def _set_windows(self, n_obs_steps: int, horizon: int, n_action_steps: int) -> None:
        observed, chunk, episode, step = window_indices(
            self._ends, n_obs_steps, horizon, n_action_steps
        )
        self._observed, self._chunk = self._tensor(observed), self._tensor(chunk)
        self._episode = self._tensor(np.asarray(self.episodes, np.int64)[episode])  # (W,)
        self._step = self._tensor(step)  # (W,)

    def _gather_clouds(self, observed: torch.Tensor) -> torch.Tensor:
        if not self.streamed:
            return self._clouds[observed]
        rows = self._rows[observed.cpu().numpy()]  # (B, To)
        clouds = self._stream.gather(rows.ravel())
        return self._tensor(clouds).view(*rows.shape, *clouds.shape[1:])

    def _load_clouds(self, steps: int) -> torch.Tensor:
        clouds = torch.empty((steps, self.points, self.point_dim))
        first = 0
        for block in self._reader.cloud_blocks(self._spans):
            clouds[first : first + len(block)] = torch.from_numpy(block)
            first += len(block)
        return clouds

    def _budget_for_clouds(self, steps: int, indices: int, budget_bytes: int) -> int:
        """What the states, actions and window indices leave of the budget."""
        taken = steps * (4 * (self.state_dim + self.action_dim) + 8 * (indices + 2))
        if taken > budget_bytes:
            raise DataError(
                f"states and actions of {self.dataset.path} must fit the memory budget",
                received=f"{taken} bytes, budget {budget_bytes}",
                remedy="choose fewer episodes, or raise memory_budget_bytes",
            )
        return budget_bytes - taken

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)


def _checked_points(dataset: Dataset, points: int | None) -> int:
    stored = dataset.spec.points
    if points is None:
        return stored
    if not 1 <= points <= stored:
        raise DataError(
            f"points must lie from 1 to the {stored} that {dataset.path} stores",
            received=points,
            remedy="ask for fewer points, or collect the dataset with more",
        )
    if dataset.spec.recipe is not None:
        dataset.spec.recipe.check_points(points)
    return points


def _checked_episodes(dataset: Dataset, episodes: Sequence[int] | None) -> list[int]:
    if episodes is None:
        return list(range(dataset.episode_count))
    chosen = [int(episode) for episode in episodes]
    if not chosen or len(set(chosen)) != len(chosen):
        raise ConfigError(
            "episodes must name at least one episode, and each at most once", received=chosen
        )
    return chosen


def _merged(bounds: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Joins spans of steps that follow one another, so that no chunk is decoded twice."""
    spans = [bounds[0]]
    for start, stop in bounds[1:]:
        if start == spans[-1][1]:
            spans[-1] = (spans[-1][0], stop)
        else:
            spans.append((start, stop))
    return spans
