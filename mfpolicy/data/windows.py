"""Which steps a training window sees and which actions it predicts."""

from __future__ import annotations

import numpy as np

from mfpolicy.errors import ConfigError


def window_indices(
    episode_ends: np.ndarray, n_obs_steps: int, horizon: int, n_action_steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns one window for every step, the step being the last that the policy observes.

    The chunk starts at the first observed step, as in Diffusion Policy (Chi et al., 2023): the
    actions [To-1 : To-1+Ta] of it are executed. Steps before the start of an episode repeat its
    first, steps beyond its end repeat its last; a window never leaves its episode::

        step          t-1   t    t+1  t+2        To = 2, Th = 4, Ta = 3
        observed       o    o
        chunk          0    1    2    3
        executed            x    x    x

    Args:
        episode_ends: (E,) cumulative, exclusive.
        n_obs_steps: To, at least 1.
        horizon: Th, at least To - 1 + Ta.
        n_action_steps: Ta, at least 1.

    Returns:
        Steps of the dataset that are observed, (W, To); steps whose actions form the chunk,
        (W, Th); the episode, (W,); the observed step within its episode, (W,). All int64.

    Raises:
        ConfigError: the horizons do not fit together.

    Example:
        >>> observed, chunk, episode, step = window_indices(np.array([3]), 2, 4, 3)
        >>> observed.tolist()
        [[0, 0], [0, 1], [1, 2]]
        >>> chunk.tolist()
        [[0, 0, 1, 2], [0, 1, 2, 2], [1, 2, 2, 2]]
    """
    if n_obs_steps < 1 or n_action_steps < 1:
        raise ConfigError(
            "n_obs_steps and n_action_steps must be at least 1",
            received=(n_obs_steps, n_action_steps),
        )
    if horizon < n_obs_steps - 1 + n_action_steps:
        raise ConfigError(
            "horizon must reach to the last executed action, n_obs_steps - 1 + n_action_steps",
            received=horizon,
            remedy=f"choose a horizon of at least {n_obs_steps - 1 + n_action_steps}",
        )
    ends = np.asarray(episode_ends, dtype=np.int64)
    lengths = np.diff(ends, prepend=0)
    episode = np.repeat(np.arange(len(ends), dtype=np.int64), lengths)  # (W,)
    first = (ends - lengths)[episode][:, None]  # (W, 1)
    last = ends[episode][:, None] - 1  # (W, 1)
    current = np.arange(ends[-1] if len(ends) else 0, dtype=np.int64)  # (W,)
    start = current[:, None] - (n_obs_steps - 1)  # (W, 1), may lie before the episode
    observed = np.clip(start + np.arange(n_obs_steps), first, last)
    chunk = np.clip(start + np.arange(horizon), first, last)
    return observed, chunk, episode, current - first[:, 0]
