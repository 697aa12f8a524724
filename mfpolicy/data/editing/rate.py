"""A lower control rate: every k-th observation, and one action for k.

What one action for k must be depends on what an action commands, and on who carries it out:

- a *position* (an absolute target): the last of the k, the place to be at when the time is over;
- a *displacement* (a step from where it is): their sum, the whole way;
- an *effort* (a force, a velocity): their mean, the same impulse over the same time.

A sum may exceed what one action can command; that is refused unless asked for. Where the executor
holds each action for k of its own steps, as the replay of DAPG's recordings does, the mean is right
for displacements too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mfpolicy.data.episode import Episode
from mfpolicy.data.reader import Dataset
from mfpolicy.errors import ConfigError, DataError

ACTIONS = ("auto", "last", "sum", "mean", "first")
BEYOND = ("refuse", "clip", "keep")
_OF_KIND = {"position": "last", "displacement": "sum", "effort": "mean"}
_ROUNDING = 1e-6


@dataclass(frozen=True)
class RateChange:
    """One step for every k.

    Attributes:
        factor: k, at least 2. The last step of an episode may stand for fewer.
        rules: of each action dimension, ``last``, ``sum``, ``mean`` or ``first``.
        limit: what the magnitude of an action may be; None knows of no limit.
        beyond: what becomes of an action beyond it: ``refuse``, ``clip`` or ``keep``.

    Example:
        >>> RateChange(2, ("sum", "last")).actions(np.array([[1., 1], [2, 2], [3, 3]])).tolist()
        [[3.0, 2.0], [3.0, 3.0]]
    """

    factor: int
    rules: tuple[str, ...]
    limit: float | None = None
    beyond: str = "refuse"

    def actions(self, action: np.ndarray) -> np.ndarray:
        """(L, A) → (⌈L/k⌉, A) float32, before any limit."""
        starts = np.arange(0, len(action), self.factor)
        ends = np.minimum(starts + self.factor, len(action))
        total = np.add.reduceat(action.astype(np.float64), starts, axis=0)
        found = {
            "last": action[ends - 1],
            "first": action[starts],
            "sum": total,
            "mean": total / (ends - starts)[:, None],
        }
        columns = [found[rule][:, index] for index, rule in enumerate(self.rules)]
        return np.stack(columns, axis=1).astype(np.float32)

    def apply(self, episode: Episode) -> Episode:
        """The episode at the lower rate; what was observed is that of the kept steps."""
        rows = slice(None, None, self.factor)
        action = self.actions(episode.action)
        if self.limit is not None and self.beyond == "clip":
            action = action.clip(-self.limit, self.limit)
        return dataclasses.replace(
            episode,
            point_cloud=episode.point_cloud[rows],
            agent_pos=episode.agent_pos[rows],
            action=action,
            color=None if episode.color is None else episode.color[rows],
            extras={name: values[rows] for name, values in episode.extras.items()},
        )

    def beyond_limit(self, dataset: Dataset, episodes: Sequence[int]) -> tuple[int, int]:
        """How many of the new steps exceed the limit, and how many there are.

        Raises:
            DataError: some do, and ``beyond`` is ``refuse``.
        """
        exceeding = steps = 0
        worst = (0.0, 0, 0, 0)
        for index in episodes:
            stored = dataset.stored("action").read(*dataset.bounds(index))
            size = np.abs(self.actions(stored))
            steps += len(size)
            if self.limit is None:
                continue
            exceeding += int((size > self.limit + _ROUNDING).any(axis=1).sum())
            row, column = np.unravel_index(int(size.argmax()), size.shape)
            worst = max(worst, (float(size[row, column]), index, int(row), int(column)))
        if exceeding and self.beyond == "refuse":
            size, index, row, column = worst
            raise DataError(
                f"one action must be able to stand for {self.factor}, within "
                f"[-{self.limit:g}, {self.limit:g}]",
                received=f"{exceeding} of {steps} steps exceed it, most of all {size:.3g} in "
                f"dimension {column} at step {row} of episode {index}",
                remedy="actions=mean where each action is held for as many steps; beyond=clip "
                "loses the rest of the way; beyond=keep where the robot can do it",
            )
        return exceeding, steps


def action_rules(actions: str, kinds: Sequence[str], action_dim: int) -> tuple[str, ...]:
    """The rule of each action dimension.

    Args:
        actions: one of ``ACTIONS``, or one rule for each dimension with commas between them.
        kinds: what each dimension commands, as a TaskSpec says; empty where not known.
        action_dim: A.

    Raises:
        ConfigError: a word is unknown, their number does not fit, or ``auto`` cannot know.

    Example:
        >>> action_rules("auto", ("displacement", "effort"), 2)
        ('sum', 'mean')
    """
    words = tuple(word.strip() for word in actions.split(","))
    for word in words:
        if word not in ACTIONS or (word == "auto" and len(words) > 1):
            raise ConfigError(
                f"actions must be one of {', '.join(ACTIONS)}, or a rule for each dimension",
                received=actions,
            )
    if words == ("auto",):
        if len(kinds) != action_dim:
            raise ConfigError(
                "what one action for several is depends on what it commands, which is not known",
                received="actions=auto",
                remedy="say actions=last (absolute targets), sum (displacements) or mean (forces, "
                "velocities, or actions that are held)",
            )
        return tuple(_OF_KIND[kind] for kind in kinds)
    if len(words) not in (1, action_dim):
        raise ConfigError(
            f"actions must be one rule, or one for each of the {action_dim} dimensions",
            received=actions,
        )
    return words * action_dim if len(words) == 1 else words


def whole_factor(rate_hz: float | None, target_hz: float) -> int:
    """The k that leads from one rate to another.

    Raises:
        ConfigError: the dataset does not say its rate, or it is no whole multiple of the target.
    """
    if rate_hz is None:
        raise ConfigError(
            "a dataset must say its control rate for rate_hz", remedy="say factor=… instead"
        )
    factor = round(rate_hz / target_hz)
    if factor < 2 or abs(rate_hz / target_hz - factor) > 1e-6 * factor:
        possible = ", ".join(f"{rate_hz / k:g}" for k in range(2, 6))
        raise ConfigError(
            f"the new rate must be {rate_hz:g} Hz over a whole number, at least 2: what lies "
            "between two recorded steps is not known",
            received=target_hz,
            remedy=f"choose among {possible} Hz, …",
        )
    return factor
