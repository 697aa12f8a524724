"""Rates of the recent past: what is older does not count, and costs nothing."""

from __future__ import annotations

import numpy as np
import pytest

from real_robot.rates import Rate


def test_a_rate_is_that_of_its_span_however_long_it_lasts():
    times_s = np.cumsum(np.random.default_rng(0).uniform(0.005, 0.015, 20_000))
    rate, now_s = Rate(span_s=2.0), times_s[-1] + 0.004
    for time_s in times_s:
        rate.came(time_s)
    recent = times_s[times_s >= now_s - 2.0]
    assert rate.hz(now_s) == len(recent) / 2
    assert rate.jitter_s(now_s) == pytest.approx(np.std(np.diff(recent)))
    assert rate.period_p99_s(now_s) == pytest.approx(np.percentile(np.diff(recent), 99))
    assert rate.hz(now_s + 10) == 0


def test_a_clock_that_went_back_begins_anew():
    rate = Rate(span_s=2.0)
    for time_s in (100.0, 100.1, 100.2, 50.0, 50.5, 51.0):
        rate.came(time_s)
    assert rate.hz(51.0) == 1.5
    assert rate.jitter_s(51.0) == 0
