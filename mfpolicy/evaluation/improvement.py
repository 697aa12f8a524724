"""How often one method is better than another, and how many comparisons that was read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mfpolicy.errors import UserError
from mfpolicy.evaluation.statistics import normal_quantile, score_interval


@dataclass(frozen=True)
class Improvement:
    """The probability that a run of one method is better than a run of another.

    Attributes:
        probability: mean over the tasks. interval: its ends. tasks: how many.
    """

    probability: float
    interval: tuple[float, float]
    tasks: int


def probability_of_improvement(
    a: Mapping[str, Sequence[float]], b: Mapping[str, Sequence[float]], confidence: float = 0.95
) -> Improvement:
    """P(a > b) of Agarwal et al. (2021, arXiv 2108.13264), ties counting one half.

    On each task it is the Mann–Whitney statistic over all pairs of a run of a and a run of b, and
    the result is its mean over the tasks. Their stratified bootstrap resamples the runs of a task,
    of which there may be one here; the interval is Wilson's with the tasks as units instead. A
    task's value lies between 0 and 1, so that its variance is a binomial one's at most: with few
    runs a task the interval covers as often as it says, with many more often.

    Args:
        a: task → score of each run of one method.
        b: of the other; tasks that only one has are left out.
        confidence: nominal coverage of the interval.

    Raises:
        UserError: they have no task in common.

    Example:
        >>> a, b = {"x": [0.9, 0.8], "y": [0.5]}, {"x": [0.8], "y": [0.5]}
        >>> result = probability_of_improvement(a, b)
        >>> result.probability, result.tasks
        (0.625, 2)
    """
    values = [
        _better(a[task], b[task]) for task in a if task in b and len(a[task]) and len(b[task])
    ]
    if not values:
        raise UserError("two methods are compared on common tasks", received="none is common")
    mean = float(np.mean(values))
    interval = score_interval(mean, len(values), normal_quantile(confidence))
    return Improvement(mean, interval, len(values))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (1979): below α for all tests together, in the order given.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    adjusted, least = [0.0] * len(order), 0.0
    for place, index in enumerate(order):
        least = max(least, min(1.0, (len(order) - place) * float(p_values[index])))
        adjusted[index] = least
    return adjusted


def _better(a: Sequence[float], b: Sequence[float]) -> float:
    difference = np.asarray(a, dtype=float)[:, None] - np.asarray(b, dtype=float)[None]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())
