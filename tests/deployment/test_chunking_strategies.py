"""What each strategy promises beyond what all do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfpolicy.deployment import chunking
from mfpolicy.deployment.chunking.real_time_chunking import soft_mask
from mfpolicy.deployment.chunking.temporal_ensembling import ensemble_weights


def constant(value: float, length: int = 12) -> np.ndarray:
    return np.full((length, 1), value, np.float32)


@settings(deadline=None)
@given(count=st.integers(1, 200), decay=st.floats(0, 5))
def test_ensemble_weights_sum_to_one_and_fall_from_the_oldest_on(count, decay):
    weights = ensemble_weights(count, decay)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(weights[1:], weights[:-1] * np.exp(-decay), rtol=1e-12, atol=1e-300)


def test_the_ensemble_is_the_weighted_mean_of_what_the_chunks_say():
    executor = chunking.build("temporal_ensembling", decay=0.2)
    values = [3.0, -1.0, 10.0]
    for value in values:
        executor.deliver(executor.request(), constant(value))
        action = executor.act()
    weights = np.exp(-0.2 * np.arange(3))
    assert action.item() == pytest.approx(weights @ values / weights.sum(), rel=1e-6)


def test_an_ensemble_lets_go_of_chunks_that_are_over():
    executor = chunking.build("temporal_ensembling")
    for _ in range(100):
        executor.deliver(executor.request(), constant(1.0))
        executor.act()
    assert len(executor._chunks) <= 13


@settings(deadline=None)
@given(overlap=st.integers(1, 64), frozen=st.integers(0, 64))
def test_the_soft_mask_is_one_while_frozen_and_then_falls(overlap, frozen):
    frozen = min(frozen, overlap)
    mask = soft_mask(frozen, overlap)
    assert (mask[:frozen] == 1).all()
    assert (np.diff(mask[max(frozen - 1, 0) :]) < 0).all()
    assert ((mask > 0) & (mask <= 1)).all()


def test_the_soft_mask_is_that_of_the_paper():
    mask, d, k = soft_mask(3, 9), 3, 9
    for i in range(d, k):
        c = (k - i) / (k - d + 1)
        assert mask[i] == pytest.approx(c * (np.e**c - 1) / (np.e - 1), rel=1e-12)


def test_blending_leads_from_the_old_chunk_to_the_new_without_a_step():
    executor = chunking.build("real_time_chunking", execute=4)
    executor.deliver(executor.request(), constant(0.0))
    for _ in range(4):
        executor.act()
    request = executor.request()
    for _ in range(2):
        executor.act()
    executor.deliver(request, constant(1.0))
    joined = np.array([executor.act().item() for _ in range(10)])
    weights = soft_mask(0, 6)  # six steps of the old chunk are left
    np.testing.assert_allclose(joined[:6], 1 - weights, rtol=1e-6)
    np.testing.assert_array_equal(joined[6:], 1)
    assert np.abs(np.diff(np.concatenate([[0.0], joined]))).max() < 0.35


def test_without_blending_the_new_chunk_cuts_in():
    executor = chunking.build("real_time_chunking", execute=4, blend=False)
    executor.deliver(executor.request(), constant(0.0))
    for _ in range(4):
        executor.act()
    executor.deliver(executor.request(), constant(1.0))
    assert executor.act().item() == 1


def test_the_expected_delay_is_the_largest_of_the_last_but_never_the_first():
    executor = chunking.build("real_time_chunking", execute=4, delay_memory=2, initial_delay=3)
    expected = []
    for delay in (90, 2, 7, 1, 0):
        while (request := executor.request()) is None:
            executor.act()
        for _ in range(delay):
            executor.act()
        executor.deliver(request, constant(0.0, 200))
        expected.append(executor.expected_delay)
    assert expected == [3, 2, 7, 7, 1]


def test_the_request_carries_the_plan_with_the_expected_delay_frozen():
    executor = chunking.build("real_time_chunking", execute=4)
    for _ in range(2):
        while (request := executor.request()) is None:
            executor.act()
        for _ in range(3):
            executor.act()
        executor.deliver(request, np.arange(12, dtype=np.float32)[:, None])
    while (request := executor.request()) is None:
        executor.act()
    assert executor.expected_delay == 3
    np.testing.assert_array_equal(request.weights, soft_mask(3, len(request.plan)))
    assert request.steered
    assert request.last is not None


def test_synchronous_execution_holds_for_the_delay_and_starts_at_the_first_action():
    executor = chunking.build("receding_horizon", execute=2)
    course = []
    for _ in range(2):
        request = executor.request()
        for _ in range(3):
            course.append(executor.act())
        executor.deliver(request, np.array([[1.0], [2.0], [3.0]]))
        course += [executor.act(), executor.act()]
    values = [None if action is None else action.item() for action in course]
    assert values == [None, None, None, 1, 2, None, None, None, 1, 2]


def test_asynchronous_execution_never_holds_while_chunks_reach():
    executor = chunking.build("receding_horizon", execute=4, asynchronous=True)
    waiting = None
    for tick in range(60):
        if waiting is not None and tick - waiting.tick == 4:
            executor.deliver(waiting, constant(float(tick)))
            waiting = None
        waiting = executor.request() or waiting
        executor.act()
    assert executor.counts.holds == 4  # before the first answer


def test_a_plain_request_steers_nothing():
    for name in chunking.names():
        assert not chunking.build(name).request().steered
