from __future__ import annotations

import math

import numpy as np
import pytest

from mfpolicy.errors import UserError
from mfpolicy.evaluation.statistics import (
    compare_paired,
    dp3_top5,
    success_rate,
    wilson_interval,
)


def paired(both: int, only_a: int, only_b: int, neither: int):
    outcomes = (
        [(True, True)] * both
        + [(True, False)] * only_a
        + [(False, True)] * only_b
        + [(False, False)] * neither
    )
    a, b = ({seed: pair[side] for seed, pair in enumerate(outcomes)} for side in (0, 1))
    return compare_paired(a, b)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 20), (1, 1), (45, 50), (100, 100), (137, 200)])
def test_wilson_solves_the_score_equation(k, n):
    # The ends are where |k/n - p| equals z standard errors at p itself.
    z = 1.959963984540054
    for end in wilson_interval(k, n):
        assert abs(k / n - end) == pytest.approx(z * math.sqrt(end * (1 - end) / n), abs=1e-9)


def test_wilson_of_a_published_value():
    # Newcombe 1998 (Statistics in Medicine 17, 857-872), table I: 81/263, 15/148, 0/20, 1/29.
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (k, n), interval in published.items():
        assert wilson_interval(k, n) == pytest.approx(interval, abs=5e-5)


def test_wilson_is_symmetric_and_widens_with_confidence():
    low, high = wilson_interval(7, 30)
    assert wilson_interval(23, 30) == pytest.approx((1 - high, 1 - low))
    wide = wilson_interval(7, 30, confidence=0.99)
    assert wide[0] < low < high < wide[1]


@pytest.mark.parametrize("rate", [0.3, 0.6, 0.9, 0.97])
def test_wilson_covers_as_often_as_it_says(rate):
    n = 100
    draws = np.random.default_rng(0).binomial(n, rate, size=4000)
    intervals = {k: wilson_interval(int(k), n) for k in np.unique(draws)}
    covered = np.mean([intervals[k][0] <= rate <= intervals[k][1] for k in draws])
    assert 0.92 < covered < 0.98


@pytest.mark.parametrize(("k", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(UserError, match="between 0 and n"):
        wilson_interval(k, n)


def test_confidence_outside_its_range_is_refused():
    with pytest.raises(UserError, match="confidence"):
        wilson_interval(1, 2, confidence=95)


def test_success_rate_counts():
    rate = success_rate([True, False, True, True])
    assert (rate.k, rate.n, rate.rate) == (3, 4, 0.75)
    assert rate.interval == wilson_interval(3, 4)


def test_success_rate_of_nothing_is_refused():
    with pytest.raises(UserError, match="n at least 1"):
        success_rate([])


def test_mcnemar_is_the_sign_test_of_the_discordant_pairs():
    result = paired(both=40, only_a=8, only_b=1, neither=1)
    tail = sum(math.comb(9, k) for k in (0, 1)) / 2**9
    assert result.p_value == pytest.approx(2 * tail)
    assert result.difference == pytest.approx(7 / 50)


@pytest.mark.parametrize(
    ("counts", "interval"),
    [
        ((36, 12, 2, 0), (0.0569, 0.3404)),
        ((20, 12, 2, 16), (0.0562, 0.3292)),
        ((36, 14, 0, 0), (0.1528, 0.4167)),
        ((18, 14, 0, 18), (0.1441, 0.3963)),
        ((2, 97, 1, 0), (0.8721, 0.9854)),
        ((0, 30, 0, 0), (0.8395, 1.0)),
        ((54, 0, 0, 0), (-0.0664, 0.0664)),
        ((30, 0, 0, 24), (-0.0358, 0.0358)),
    ],
)
def test_paired_interval_of_published_values(counts, interval):
    # Newcombe 1998 (Statistics in Medicine 17, 2635-2650), table III, method 10.
    assert paired(*counts).interval == pytest.approx(interval, abs=6e-5)


def test_paired_interval_agrees_with_the_bootstrap_on_many_seeds():
    counts = np.array([500, 180, 90, 230])
    interval = paired(*(int(count) for count in counts)).interval
    draws = np.random.default_rng(0).multinomial(1000, counts / 1000, size=20000)
    differences = (draws[:, 1] - draws[:, 2]) / 1000
    assert interval == pytest.approx(np.percentile(differences, (2.5, 97.5)), abs=3e-3)


def test_paired_interval_stays_open_where_all_agree():
    result = paired(both=10, only_a=0, only_b=0, neither=0)
    assert result.difference == 0.0
    assert result.p_value == 1.0
    assert result.interval[0] < -0.2
    assert result.interval[1] > 0.2


def test_paired_comparison_turns_its_sign_with_its_sides():
    one, other = paired(5, 9, 2, 4), paired(5, 2, 9, 4)
    assert one.difference == -other.difference
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))
    assert one.p_value == other.p_value


def test_paired_interval_covers_as_often_as_it_says():
    probabilities, n = np.array([0.5, 0.2, 0.1, 0.2]), 50
    rng, covered = np.random.default_rng(1), 0
    cache: dict[tuple[int, ...], tuple[float, float]] = {}
    for draw in rng.multinomial(n, probabilities, size=3000):
        key = tuple(int(count) for count in draw)
        if key not in cache:
            cache[key] = paired(*key).interval
        covered += cache[key][0] <= 0.1 <= cache[key][1]
    assert 0.92 < covered / 3000 < 0.98


def test_only_common_seeds_count():
    result = compare_paired({1: True, 2: True, 3: False}, {2: False, 3: False, 4: True})
    assert (result.n, result.only_a, result.neither) == (2, 1, 1)


def test_no_common_seed_is_refused():
    with pytest.raises(UserError, match="share seeds"):
        compare_paired({1: True}, {2: True})


def test_dp3_top5_is_the_mean_of_the_best_five():
    rates = [0.0, 0.2, 1.0, 0.4, 0.6, 0.8, 0.1]
    assert dp3_top5(rates) == pytest.approx(0.6)
    assert dp3_top5(rates) == dp3_top5(rates[::-1])


def test_dp3_top5_is_optimistic_by_the_amount_it_is_documented_with():
    rng = np.random.default_rng(0)
    runs = rng.binomial(20, 0.6, size=(2000, 15)) / 20
    assert np.mean([dp3_top5(run) for run in runs]) == pytest.approx(0.712, abs=0.005)


def test_dp3_top5_of_four_is_refused():
    with pytest.raises(UserError, match="at least five"):
        dp3_top5([1.0] * 4)
