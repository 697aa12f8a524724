"""Rewards of action chunks, and the best of several chunks under one."""

from __future__ import annotations

from collections.abc import Callable

import torch

from mfpolicy.errors import ConfigError

Reward = Callable[[torch.Tensor], torch.Tensor]
"""(B, N, steps, A), N candidate chunks a row → their rewards (B, N), the higher the better.

A reward that depends on the observation closes over it; its rows are those of the batch.
"""


def rewards_of(reward: Reward, chunks: torch.Tensor) -> torch.Tensor:
    """Returns ``reward(chunks)``, (B, N).

    Raises:
        ConfigError: the reward is no finite number for each candidate.

    Example:
        >>> near_zero = lambda chunks: -chunks.square().sum((-2, -1))
        >>> rewards_of(near_zero, torch.ones(1, 2, 4, 3)).tolist()
        [[-12.0, -12.0]]
    """
    values = reward(chunks)
    shape = tuple(chunks.shape[:2])
    if not isinstance(values, torch.Tensor) or tuple(values.shape) != shape:
        raise ConfigError(
            f"a reward must return a tensor of one value a candidate, (B, N) = {shape}",
            received=tuple(values.shape) if isinstance(values, torch.Tensor) else type(values),
            remedy="reduce over the last two axes, steps and action dimensions",
        )
    if not bool(torch.isfinite(values).all()):
        raise ConfigError(
            "a reward must be finite for every candidate",
            received=f"{int((~torch.isfinite(values)).sum())} NaN or infinite values",
        )
    return values


def best_of_chunks(chunks: torch.Tensor, reward: Reward) -> torch.Tensor:
    """Returns each row's candidate with the highest reward, the first of several.

    Args:
        chunks: (B, N, steps, A).
        reward: see :data:`Reward`.

    Returns:
        (B, steps, A).

    Example:
        >>> chunks = torch.tensor([3.0, 1.0, 2.0]).view(1, 3, 1, 1)
        >>> best_of_chunks(chunks, lambda chunks: -chunks.sum((-2, -1))).item()
        1.0
    """
    index = rewards_of(reward, chunks).argmax(dim=1)
    return chunks[torch.arange(len(chunks), device=chunks.device), index]
