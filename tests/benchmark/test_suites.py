"""Every suite names tasks that there are, and as many as it promises."""

from __future__ import annotations

from collections import Counter

import pytest

import envs
from benchmark.small_grid import composed
from mfpolicy.config.benchmarking import Suite, read_suite, suite_names, tasks_of
from mfpolicy.errors import TaskError

DIFFICULTIES = {spec.name: spec.difficulty for spec in envs.tasks()}
COUNTS = {
    "mp1_37": {"easy": 21, "medium": 4, "hard": 4, "very hard": 5, "adroit": 3},
    "metaworld_50": {"easy": 28, "medium": 11, "hard": 6, "very hard": 5},
    "adroit_4": {"adroit": 4},
    "quick_8": {"easy": 2, "medium": 1, "hard": 2, "very hard": 1, "adroit": 2},
    "smoke": {"easy": 1},
}


@pytest.mark.parametrize("suite", suite_names())
def test_a_suite_has_the_tasks_that_it_promises(suite):
    tasks = tasks_of(read_suite(suite), list(DIFFICULTIES), envs.task_sets())
    assert len(set(tasks)) == len(tasks)
    assert Counter(DIFFICULTIES[task] for task in tasks) == COUNTS.get(suite, Counter())


def test_the_37_are_those_of_the_published_comparison():
    tasks = set(tasks_of(read_suite("mp1_37"), list(DIFFICULTIES), envs.task_sets()))
    assert {"adroit/door", "adroit/hammer", "adroit/pen", "metaworld/reach"} <= tasks
    assert not {"adroit/relocate", "metaworld/drawer-open", "metaworld/pick-out-of-hole"} & tasks


def test_an_entry_without_a_task_is_told():
    with pytest.raises(TaskError, match="did you mean 'metaworld/reach'"):
        tasks_of(Suite("", ("metaworld/raech",)), list(DIFFICULTIES), {})


def test_the_defaults_of_a_suite_give_way_to_the_command_line():
    cell = composed("suite=smoke", "methods=regression", "out=o", "training.steps=7").cells[0]
    assert (cell.config.training.steps, cell.config.training.batch_size) == (7, 8)
    assert (cell.demonstrations, cell.config.policy.points) == (1, 64)
    words = ("suite=smoke", "methods=regression", "out=o", "demonstrations=3")
    assert composed(*words).cells[0].demonstrations == 3


def test_an_encoder_of_the_command_line_knows_nothing_of_the_suites_own():
    words = ("suite=smoke", "methods=regression", "out=o", "encoder=point_transformer")
    config = composed(*words).cells[0].config
    assert (config.encoder["name"], config.policy.points) == ("point_transformer", 64)
