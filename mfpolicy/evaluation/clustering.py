"""How much less than independent ones the episodes of a few trained policies tell.

Outcomes form a table of training seeds × evaluation seeds: policies differ as a whole, and so do
initial states. With S training seeds and E evaluation seeds the mean of the table varies by
σ²(training)/S + σ²(evaluation)/E + σ²(rest)/SE, which the mean squares of a two-way analysis of
variance estimate without bias (Brennan 2001, Generalizability Theory): those of the rows and of the
columns, less that of the rest, over SE.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mfpolicy.evaluation.statistics import normal_quantile

Values = Mapping[int, Mapping[int, float]]
"""Of a task: training seed → evaluation seed → value."""


@dataclass(frozen=True)
class DesignEffect:
    """How many times the variance of independent episodes a mean has.

    Attributes:
        factor: of the variance, at least 1.
        degrees: of freedom of its estimate, infinite where nothing was estimated.
    """

    factor: float = 1.0
    degrees: float = math.inf

    def quantile(self, confidence: float) -> float:
        """Student's quantile, the normal distribution's where the factor is 1."""
        from scipy.special import stdtrit

        normal = normal_quantile(confidence)
        if self.factor == 1.0 or math.isinf(self.degrees):
            return normal
        return float(stdtrit(self.degrees, (1 + confidence) / 2))


def design_effect(tasks: Sequence[Values]) -> DesignEffect:
    """Pools the variances of the tasks that have at least two training seeds.

    Args:
        tasks: of each, training seed → evaluation seed → value.

    Example:
        >>> alike = {0: {0: 1.0, 1: 0.0, 2: 1.0}, 1: {0: 1.0, 1: 0.0, 2: 1.0}}
        >>> round(design_effect([alike]).factor, 1)
        3.0
        >>> design_effect([{0: {0: 1.0, 1: 0.0}}]).factor
        1.0
    """
    tables = [table for cells in tasks if len(table := _table(cells)) > 1]
    parts = np.array([_variances(table) for table in tables]).reshape(-1, 3)
    independent, by_seed, other = parts.sum(axis=0)
    if independent == 0:
        return DesignEffect()
    factor = max(1.0, float((by_seed + other) / independent))
    # Satterthwaite: only the training seeds are few, the other part rests on many evaluation seeds.
    share = max(1.0, 1 + float(other / by_seed)) if by_seed else math.inf
    return DesignEffect(factor, sum(len(table) - 1 for table in tables) * share**2)


def _table(cells: Values) -> np.ndarray:
    """(training seeds, evaluation seeds) of the values; of those evaluation seeds that all have.

    Where fewer than two are common the columns are those of the same place, which share nothing.
    """
    common = set.intersection(*(set(cell) for cell in cells.values())) if cells else set()
    if len(common) > 1:
        return np.array([[cell[seed] for seed in sorted(common)] for cell in cells.values()], float)
    shortest = min((len(cell) for cell in cells.values()), default=0)
    rows = [[cell[seed] for seed in sorted(cell)[:shortest]] for cell in cells.values()]
    return np.array(rows, float)


def _variances(table: np.ndarray) -> tuple[float, float, float]:
    """Of the mean of a table: as of independent episodes, by training seed, by the rest."""
    seeds, states = table.shape
    if states < 2:
        return 0.0, 0.0, 0.0
    rest = table - table.mean()
    rows, columns = rest.mean(axis=1), rest.mean(axis=0)
    of_rows = states * float((rows**2).sum()) / (seeds - 1)
    of_columns = seeds * float((columns**2).sum()) / (states - 1)
    inner = rest - rows[:, None] - columns
    of_inner = float((inner**2).sum()) / ((seeds - 1) * (states - 1))
    size = table.size
    return float((rest**2).mean()) / size, of_rows / size, (of_columns - of_inner) / size
