"""How much less than independent ones the episodes of a few trained policies tell.

Outcomes form a table of training seeds × evaluation seeds: policies differ as a whole, and so do
initial states. With S training seeds and E evaluation seeds the mean of the table varies by
σ²(training)/S + σ²(evaluation)/E + σ²(rest)/SE, which the mean squares of a two-way analysis of
variance estimate without bias (Brennan 2001, Generalizability Theory): those of the rows and of the
columns, less that of the rest, over SE.

The pooled variance V is a sum over the tasks of a part b of the rows, known with S - 1 degrees of
freedom, and of a part of the columns, which rests on many evaluation seeds and counts as known.
Satterthwaite (1946, Biometrics Bulletin 2, 110–114) gives V the degrees 2 E(V)² / var(V), where
var(V) = Σ 2 E(b)²/(S - 1). Plugged in, b² would be too large by the factor 1 + 2/(S - 1); without
that bias E(b)²/(S - 1) is b²/(S + 1), and E(V)² is V² - 2 Σ b²/(S + 1), so that the degrees are
V² / Σ b²/(S + 1) - 2: n(S - 1) for n tasks alike, S - 1 where all but one always succeed. Here b
counts as no less than the rest alone would make it: policies whose rates are equal by chance do not
make the variance a known one.
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
        """Student's quantile, the normal distribution's where nothing was estimated."""
        from scipy.special import stdtrit

        if math.isinf(self.degrees):
            return normal_quantile(confidence)
        return float(stdtrit(self.degrees, (1 + confidence) / 2))


def design_effect(tasks: Sequence[Values], policies: Sequence[str] | None = None) -> DesignEffect:
    """Pools the variances of the tasks that have at least two training seeds.

    Args:
        tasks: of each, training seed → evaluation seed → value.
        policies: of each, a name that those share which are of the same trained policies, such as
            several steps of one training: together they tell no more of the training seeds than
            one of them. None: all are of other policies.

    Example:
        >>> alike = {0: {0: 1.0, 1: 0.0, 2: 1.0}, 1: {0: 1.0, 1: 0.0, 2: 1.0}}
        >>> round(design_effect([alike]).factor, 1)
        3.0
        >>> design_effect([{0: {0: 1.0, 1: 0.0}}]).factor
        1.0
    """
    names = range(len(tasks)) if policies is None else policies
    found = [(name, _table(cells)) for name, cells in zip(names, tasks, strict=True)]
    tables = [(name, table) for name, table in found if len(table) > 1]
    parts = np.array([_variances(table) for _, table in tables]).reshape(-1, 4)
    independent, by_seed, other, _ = parts.sum(axis=0)
    if independent == 0:
        return DesignEffect()
    factor = max(1.0, float((by_seed + other) / independent))
    rows = np.maximum(parts[:, 1], parts[:, 3])
    total = float(rows.sum() + max(0.0, other))
    seeds = [(name, len(table)) for name, table in tables]
    return DesignEffect(factor, _degrees(seeds, rows.tolist(), total))


def _degrees(seeds: Sequence[tuple[object, int]], rows: Sequence[float], total: float) -> float:
    """Satterthwaite's, of the variance ``total``.

    Args:
        seeds: of each table the name of its policies and how many training seeds it has.
        rows: b of each.
        total: the sum of them and of what counts as known.
    """
    if not sum(rows):
        return math.inf
    roots: dict[object, float] = {}
    most: dict[object, int] = {}
    for (name, count), row in zip(seeds, rows, strict=True):
        # What shares its policies varies together: there standard deviations add up.
        roots[name] = roots.get(name, 0.0) + row / math.sqrt(count + 1)
        most[name] = max(most.get(name, 0), count - 1)
    # By the inequality of Cauchy and Schwarz there are never more than all tasks have, together.
    limit = sum(most.values()) * (total / sum(rows)) ** 2
    return min(limit, total**2 / sum(root**2 for root in roots.values()) - 2)


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


def _variances(table: np.ndarray) -> tuple[float, float, float, float]:
    """Of a table's mean: as of independent episodes, by rows, by columns less rest, by rest."""
    seeds, states = table.shape
    if states < 2:
        return 0.0, 0.0, 0.0, 0.0
    rest = table - table.mean()
    rows, columns = rest.mean(axis=1), rest.mean(axis=0)
    of_rows = states * float((rows**2).sum()) / (seeds - 1)
    of_columns = seeds * float((columns**2).sum()) / (states - 1)
    inner = rest - rows[:, None] - columns
    of_inner = float((inner**2).sum()) / ((seeds - 1) * (states - 1))
    size = table.size
    independent = float((rest**2).mean()) / size
    return independent, of_rows / size, (of_columns - of_inner) / size, of_inner / size
