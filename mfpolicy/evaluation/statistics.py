"""Statistics of success rates: one rate with its interval, two paired rates, the top-5 metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mfpolicy.errors import UserError


@dataclass(frozen=True)
class SuccessRate:
    """How many of ``n`` episodes succeeded, with the Wilson score interval of the rate.

    Attributes:
        k: episodes that succeeded. n: episodes. rate: k / n.
        interval: lower and upper end. confidence: nominal coverage of the interval.
    """

    k: int
    n: int
    rate: float
    interval: tuple[float, float]
    confidence: float = 0.95

    def __str__(self) -> str:
        low, high = self.interval
        bounds = f"{self.confidence:.0%} interval {low:.1%} to {high:.1%}"
        return f"{self.rate:.1%} ({self.k}/{self.n}), {bounds}"


@dataclass(frozen=True)
class PairedComparison:
    """Two policies on the same seeds.

    Attributes:
        n: seeds that both have. both, only_a, only_b, neither: how many of them succeeded where.
        difference: success rate of a minus success rate of b.
        interval: Newcombe's score interval of the difference.
        p_value: exact McNemar test of "both succeed equally often", two-sided.
    """

    n: int
    both: int
    only_a: int
    only_b: int
    neither: int
    difference: float
    interval: tuple[float, float]
    p_value: float


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a binomial rate (Wilson 1927), without continuity correction.

    Example:
        >>> low, high = wilson_interval(48, 50)
        >>> f"{low:.3f} {high:.3f}"
        '0.865 0.989'

    Raises:
        UserError: ``n`` is not positive, ``successes`` is outside 0…n, or ``confidence``
            is not between 0 and 1.
    """
    from scipy.stats import binomtest

    if n < 1 or not 0 <= successes <= n:
        raise UserError("successes must lie between 0 and n, n at least 1", received=(successes, n))
    if not 0 < confidence < 1:
        raise UserError("confidence must lie between 0 and 1", received=confidence)
    interval = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def success_rate(outcomes: Sequence[bool], confidence: float = 0.95) -> SuccessRate:
    """Counts the successes among ``outcomes`` and bounds their rate.

    Example:
        >>> print(success_rate([True] * 48 + [False] * 2))
        96.0% (48/50), 95% interval 86.5% to 98.9%
    """
    k, n = sum(map(bool, outcomes)), len(outcomes)
    return SuccessRate(k, n, k / max(n, 1), wilson_interval(k, n, confidence), confidence)


def compare_paired(
    a: Mapping[int, bool], b: Mapping[int, bool], confidence: float = 0.95
) -> PairedComparison:
    """Compares two policies over the seeds that both were evaluated on.

    Paired seeds share their initial states, which removes the variance between initial states
    from the comparison. The interval is method 10 of Newcombe (1998, Statistics in Medicine 17,
    2635–2650): unlike the bootstrap's it does not shrink to a point where the outcomes agree on
    every seed.

    Args:
        a: success by seed of the first policy.
        b: success by seed of the second policy.
        confidence: nominal coverage of the interval.

    Raises:
        UserError: no seed is common to both.

    Example:
        >>> result = compare_paired({0: True, 1: True, 2: False}, {0: True, 1: False, 2: False})
        >>> result.only_a, result.only_b, result.p_value
        (1, 0, 1.0)
    """
    from scipy.stats import binomtest

    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        raise UserError("paired runs must share seeds", remedy="evaluate both from the same seed")
    pairs = [(bool(a[seed]), bool(b[seed])) for seed in seeds]
    both, only_a = pairs.count((True, True)), pairs.count((True, False))
    only_b, neither = pairs.count((False, True)), pairs.count((False, False))
    discordant = only_a + only_b
    p_value = float(binomtest(only_a, discordant).pvalue) if discordant else 1.0
    difference = (only_a - only_b) / len(seeds)
    interval = _newcombe_interval(both, only_a, only_b, neither, confidence)
    return PairedComparison(
        len(seeds), both, only_a, only_b, neither, difference, interval, p_value
    )


def dp3_top5(success_rates: Sequence[float]) -> float:
    """Mean of the five best evaluations of one run, as DP3, FlowPolicy and MP1 report it.

    It chooses checkpoints by their test score and so is optimistic: with 20 episodes an
    evaluation and a true rate of 60 % the best five of fifteen average 71 %. Use it for
    comparison with published tables only, beside the last checkpoint's success rate.

    Raises:
        UserError: fewer than five evaluations.

    Example:
        >>> round(dp3_top5([0.1, 0.9, 0.8, 0.7, 0.6, 0.5]), 3)
        0.7
    """
    if len(success_rates) < 5:
        raise UserError(
            "the top-5 metric needs at least five evaluations of a run",
            received=len(success_rates),
            remedy="evaluate more checkpoints, or report the last one's success rate",
        )
    return float(np.mean(np.sort(np.asarray(success_rates, dtype=float))[-5:]))


def _newcombe_interval(
    both: int, only_a: int, only_b: int, neither: int, confidence: float
) -> tuple[float, float]:
    n = both + only_a + only_b + neither
    rate_a, rate_b = (both + only_a) / n, (both + only_b) / n
    low_a, high_a = wilson_interval(both + only_a, n, confidence)
    low_b, high_b = wilson_interval(both + only_b, n, confidence)
    phi = _corrected_phi(both, only_a, only_b, neither)
    down = _correlated_distance(rate_a - low_a, high_b - rate_b, phi)
    up = _correlated_distance(high_a - rate_a, rate_b - low_b, phi)
    difference = rate_a - rate_b
    return max(difference - down, -1.0), min(difference + up, 1.0)


def _corrected_phi(both: int, only_a: int, only_b: int, neither: int) -> float:
    n = both + only_a + only_b + neither
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    if margins == 0:
        return 0.0
    association = both * neither - only_a * only_b
    # Newcombe's correction: a positive association is lessened by n / 2, never below zero.
    if association > 0:
        association = max(association - n / 2, 0)
    return association / math.sqrt(margins)


def _correlated_distance(x: float, y: float, phi: float) -> float:
    return math.sqrt(max(x * x - 2 * phi * x * y + y * y, 0.0))
