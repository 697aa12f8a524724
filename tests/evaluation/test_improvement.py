from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from mfpolicy.errors import UserError
from mfpolicy.evaluation.improvement import holm, probability_of_improvement
from mfpolicy.evaluation.statistics import wilson_interval


def test_it_is_the_mann_whitney_statistic_over_runs_averaged_over_tasks():
    rng = np.random.default_rng(0)
    a = {task: np.round(rng.random(4), 1) for task in "pqrst"}
    b = {task: np.round(rng.random(3), 1) for task in "qrstu"}
    # U of scipy's ranks: the sum of the ranks of a, less that of 1…n, over all pairs.
    ranks = {task: rankdata([*a[task], *b[task]])[:4].sum() for task in "qrst"}
    expected = [(rank - 10) / 12 for rank in ranks.values()]
    result = probability_of_improvement(a, b)
    assert result.probability == pytest.approx(np.mean(expected))
    assert result.tasks == 4
    turned = probability_of_improvement(b, a)
    assert turned.probability == pytest.approx(1 - result.probability)
    assert turned.interval == pytest.approx((1 - result.interval[1], 1 - result.interval[0]))


def test_better_on_every_task_is_not_certain_to_be_better():
    scores = {str(task): [0.9] for task in range(8)}
    result = probability_of_improvement(scores, {task: [0.8] for task in scores})
    assert result.probability == 1.0
    assert result.interval == pytest.approx(wilson_interval(8, 8))


def test_equal_scores_count_one_half():
    assert probability_of_improvement({"t": [0.5, 0.5]}, {"t": [0.5]}).probability == 0.5


@pytest.mark.parametrize("runs", [1, 3])
def test_its_interval_covers_at_least_as_often_as_it_says(runs):
    rng, tasks, covered = np.random.default_rng(0), 20, 0
    # A task's scores are uniform on [gap, 1 + gap] and on [0, 1].
    gaps = np.linspace(-0.2, 0.6, tasks)
    truth = np.mean(np.where(gaps < 0, (1 - abs(gaps)) ** 2 / 2, 1 - (1 - gaps) ** 2 / 2))
    for _ in range(300):
        a, b = rng.random((tasks, runs)) + gaps[:, None], rng.random((tasks, runs))
        low, high = probability_of_improvement(dict(enumerate(a)), dict(enumerate(b))).interval
        covered += low <= truth <= high
    assert covered >= 279


def test_no_common_task_is_refused():
    with pytest.raises(UserError, match="common tasks"):
        probability_of_improvement({"t": [1.0]}, {"u": [1.0]})


def test_holm_multiplies_by_how_many_are_left_and_never_falls():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_lets_one_true_hypothesis_in_twenty_through_in_all():
    p_values = np.random.default_rng(0).random((2000, 12))
    assert np.mean([min(holm(row)) < 0.05 for row in p_values]) == pytest.approx(0.05, abs=0.015)
