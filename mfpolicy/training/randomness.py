"""All randomness of a run as a function of (seed, step): a resume needs no saved state."""

from __future__ import annotations

import zlib

import numpy as np
import torch

from mfpolicy.errors import ConfigError

_SHUFFLE, _NOISE, _AUGMENT = 0, 1, 4  # 2 and 3 are of the held-out episodes


class BatchSampler:
    """Rows of each batch: consecutive pieces of an endless run of shuffled epochs.

    Args:
        count: number of windows.
        batch_size: rows per batch, at most ``count``.
        seed: the run's seed.

    Raises:
        ConfigError: the batch is larger than the data.

    Example:
        >>> sampler = BatchSampler(5, batch_size=5, seed=0)
        >>> sorted(sampler.rows(3).tolist())
        [0, 1, 2, 3, 4]
    """

    def __init__(self, count: int, *, batch_size: int, seed: int) -> None:
        if batch_size > count:
            raise ConfigError(
                f"training.batch_size must be at most the number of windows, {count}",
                received=batch_size,
                remedy=f"set training.batch_size={count} or collect more episodes",
            )
        self.count, self.batch_size = count, batch_size
        self._run = Shuffled(count, seed=seed)

    def rows(self, step: int) -> torch.Tensor:
        """Rows (B,) int64 of the batch of this step."""
        first = step * self.batch_size
        return self._run.at(torch.arange(first, first + self.batch_size))


class Shuffled:
    """An endless run of shuffled epochs of ``count`` windows, read at any place.

    Args:
        count: number of windows.
        seed: the run's seed.
        of: tells apart several of a run; None of a run that has one.
    """

    def __init__(self, count: int, *, seed: int, of: int | None = None) -> None:
        self.count = count
        self._entropy = lambda epoch: [seed, _SHUFFLE, epoch, *([] if of is None else [of])]
        self._epochs: dict[int, torch.Tensor] = {}

    def at(self, positions: torch.Tensor) -> torch.Tensor:
        """Windows (n,) int64 at these places (n,) of the run."""
        epochs = positions // self.count
        rows = torch.empty_like(positions)
        for epoch in epochs.unique().tolist():
            here = epochs == epoch
            rows[here] = self._epoch(epoch)[positions[here] % self.count]
        return rows

    def _epoch(self, epoch: int) -> torch.Tensor:
        if epoch not in self._epochs:
            self._epochs = {e: order for e, order in self._epochs.items() if e >= epoch - 1}
            random = np.random.default_rng(self._entropy(epoch))
            self._epochs[epoch] = torch.from_numpy(random.permutation(self.count))
        return self._epochs[epoch]


def noise_generator(
    seed: int, step: int, device: torch.device, *, piece: int = 0
) -> torch.Generator:
    """The generator that draws times and noise of this step, for one piece of its batch."""
    return _generator([seed, _NOISE, step, *([piece] if piece else [])], device)


def augmentation_generator(
    seed: int, step: int, device: torch.device, *, piece: int, name: str
) -> torch.Generator:
    """The generator of one augmentation in this step, for one piece of its batch."""
    return _generator([seed, _AUGMENT, step, piece, zlib.crc32(name.encode())], device)


def _generator(entropy: list[int], device: torch.device) -> torch.Generator:
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0] >> np.uint64(1)))
