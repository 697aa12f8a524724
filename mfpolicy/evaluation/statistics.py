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
    if n < 1 or not 0 <= successes <= n:
        raise UserError("successes must lie between 0 and n, n at least 1", received=(successes, n))
    return score_interval(successes / n, n, normal_quantile(confidence))


def normal_quantile(confidence: float) -> float:
    """How many standard deviations hold the central ``confidence`` of a normal distribution.

    Raises:
        UserError: ``confidence`` is not between 0 and 1.

    Example:
        >>> round(normal_quantile(0.95), 3)
        1.96
    """
    from scipy.special import ndtri

    if not 0 < confidence < 1:
        raise UserError("confidence must lie between 0 and 1", received=confidence)
    return float(ndtri((1 + confidence) / 2))


def score_interval(rate: float, n: float, quantile: float) -> tuple[float, float]:
    """Wilson's interval of a rate that rests on ``n`` episodes, or on as much as ``n`` would tell.

    Args:
        rate: 0 to 1.
        n: need not be whole: an effective number of episodes.
        quantile: of the standardized rate, 1.96 for 95 %.

    Example:
        >>> low, high = score_interval(1.0, 96.04, 1.96)
        >>> f"{low:.3f} {high:.3f}"
        '0.962 1.000'
    """
    square = quantile**2
    center = (rate * n + square / 2) / (n + square)
    half = quantile * math.sqrt(n * rate * (1 - rate) + square / 4) / (n + square)
    # At 0 and 1 the interval ends there; only rounding keeps the formula from it.
    low = 0.0 if rate == 0 else center - half
    high = 1.0 if rate == 1 else center + half
    return low, high


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
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        raise UserError("paired runs must share seeds", remedy="evaluate both from the same seed")
    pairs = [(bool(a[seed]), bool(b[seed])) for seed in seeds]
    both, only_a = pairs.count((True, True)), pairs.count((True, False))
    only_b, neither = pairs.count((False, True)), pairs.count((False, False))
    p_value = mcnemar_p(only_a, only_b)
    difference = (only_a - only_b) / len(seeds)
    counts = (both, only_a, only_b, neither)
    interval = paired_interval(counts, normal_quantile(confidence))
    return PairedComparison(
        len(seeds), both, only_a, only_b, neither, difference, interval, p_value
    )


def mcnemar_p(only_a: int, only_b: int) -> float:
    """Exact McNemar test, two-sided: the sign test of the pairs in which just one succeeded.

    Example:
        >>> mcnemar_p(8, 1), mcnemar_p(0, 0)
        (0.0390625, 1.0)
    """
    from scipy.special import bdtr

    discordant = only_a + only_b
    return min(1.0, 2.0 * float(bdtr(min(only_a, only_b), discordant, 0.5)))


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


def paired_interval(
    counts: tuple[float, float, float, float], quantile: float
) -> tuple[float, float]:
    """Newcombe's interval (1998, method 10) of a difference between two paired rates.

    Args:
        counts: pairs in which both succeeded, only a, only b, neither. They need not be whole:
            effective numbers of pairs, as in :func:`score_interval`.
        quantile: of the standardized rates, 1.96 for 95 %.

    Example:
        >>> low, high = paired_interval((36, 12, 2, 0), 1.96)
        >>> f"{low:.4f} {high:.4f}"
        '0.0569 0.3404'
    """
    both, only_a, only_b, neither = counts
    n = both + only_a + only_b + neither
    rate_a, rate_b = (both + only_a) / n, (both + only_b) / n
    low_a, high_a = score_interval(rate_a, n, quantile)
    low_b, high_b = score_interval(rate_b, n, quantile)
    phi = _corrected_phi(both, only_a, only_b, neither)
    down = _correlated_distance(rate_a - low_a, high_b - rate_b, phi)
    up = _correlated_distance(high_a - rate_a, rate_b - low_b, phi)
    difference = rate_a - rate_b
    return max(difference - down, -1.0), min(difference + up, 1.0)


def _corrected_phi(both: float, only_a: float, only_b: float, neither: float) -> float:
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
