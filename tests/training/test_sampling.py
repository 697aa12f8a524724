"""Windows of several tasks: each as often, and none of them depends on the others."""

import pytest
import torch

from mfpolicy.errors import ConfigError
from mfpolicy.training.sampling import TaskSampler

SIZES = {"a": 7, "b": 30, "c": 11}


def _drawn(tasks, *, steps=20, batch_size=8, seed=3):
    """What each task shows over all steps, as places in its own data, and each step's share."""
    sampler = TaskSampler(tasks, [SIZES[t] for t in tasks], batch_size=batch_size, seed=seed)
    first = {task: sum(SIZES[t] for t in tasks[:n]) for n, task in enumerate(tasks)}
    shown = {task: [] for task in tasks}
    shares = []
    for step in range(steps):
        rows = sampler.rows(step)
        assert len(rows) == batch_size
        share = []
        for task in tasks:
            own = [r - first[task] for r in rows.tolist() if 0 <= r - first[task] < SIZES[task]]
            shown[task] += own
            share.append(len(own))
        shares.append(share)
    return shown, shares


def test_every_task_shows_as_often_however_much_it_has():
    shown, shares = _drawn(["a", "b", "c"], steps=21)
    assert {len(rows) for rows in shown.values()} == {21 * 8 // 3}
    assert all(max(share) - min(share) <= 1 for share in shares)


def test_a_task_goes_through_all_it_has_before_it_repeats():
    shown, _ = _drawn(["a", "b", "c"])
    for task, rows in shown.items():
        size = SIZES[task]
        whole = [rows[n : n + size] for n in range(0, len(rows) - size + 1, size)]
        assert whole
        assert all(sorted(epoch) == list(range(size)) for epoch in whole)


def test_what_a_task_shows_does_not_depend_on_the_order_of_tasks_or_on_the_others():
    one, _ = _drawn(["a", "b", "c"])
    other, _ = _drawn(["c", "a", "b"])
    fewer, _ = _drawn(["b", "c"])
    for task in SIZES:
        short = min(len(one[task]), len(other[task]))
        assert one[task][:short] == other[task][:short]
    for task in ("b", "c"):
        short = len(one[task])
        assert one[task] == fewer[task][:short]
    assert one["a"] != _drawn(["a", "b", "c"], seed=4)[0]["a"]


def test_a_step_is_the_same_whatever_was_asked_before():
    forwards = TaskSampler(list(SIZES), list(SIZES.values()), batch_size=8, seed=0)
    backwards = TaskSampler(list(SIZES), list(SIZES.values()), batch_size=8, seed=0)
    one = [forwards.rows(step) for step in range(6)]
    other = [backwards.rows(step) for step in reversed(range(6))][::-1]
    assert torch.stack(one).equal(torch.stack(other))


def test_a_task_with_less_than_its_share_of_a_batch_is_named():
    with pytest.raises(ConfigError, match=r"at least 8 windows.*'a': 7.*sampling=window"):
        TaskSampler(list(SIZES), list(SIZES.values()), batch_size=24, seed=0)
