"""A search for the numbers of a controller by the cross-entropy method (Rubinstein, 1999).

Candidates are drawn about a mean, each is scored on the same episodes, and the mean and the spread
of every number move towards the best of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SearchSettings:
    """How a search goes.

    Attributes:
        iterations: of the search. candidates: of one iteration. elites: those that count.
        episodes: each candidate is scored on; all of one iteration on the same.
        noise: standard deviation that is added to each action, so that what only just holds fails.
        spread: of each number at first. least_spread: at last. memory: share of the old spread.
    """

    iterations: int = 60
    candidates: int = 32
    elites: int = 8
    episodes: int = 4
    noise: float = 0.05
    spread: float = 0.15
    least_spread: float = 0.02
    memory: float = 0.7


class Search:
    """The mean (D,) and spread (D,) of what is sought, and how often they were moved.

    Args:
        first: (D,) where the search begins.
        settings: how.
    """

    def __init__(self, first: NDArray[np.float64], settings: SearchSettings) -> None:
        self._settings = settings
        self.mean, self.spread = first.copy(), np.full(len(first), settings.spread)
        self.iteration = 0

    def improve(self, score: Callable[[NDArray[np.float64]], float]) -> float:
        """One iteration; returns the mean score of the candidates, the first of which is the mean.

        Args:
            score: of a candidate (D,); higher is better.
        """
        settings = self._settings
        rng = np.random.default_rng(self.iteration)
        drawn = rng.normal(size=(settings.candidates, len(self.mean)))
        drawn[0] = 0.0
        candidates = self.mean + drawn * self.spread
        scores = np.array([score(candidate) for candidate in candidates])
        elites = candidates[np.argsort(-scores)[: settings.elites]]
        weights = np.log(settings.elites + 0.5) - np.log(np.arange(1, settings.elites + 1))
        weights /= weights.sum()
        found = weights @ np.square(elites - self.mean)
        mixed = settings.memory * np.square(self.spread) + (1 - settings.memory) * found
        self.mean = weights @ elites
        self.spread = np.maximum(np.sqrt(mixed), settings.least_spread)
        self.iteration += 1
        return float(scores.mean())
