"""The grid is every combination, checked before anything runs; a mistake is told by its name."""

from __future__ import annotations

import pytest

from benchmark.small_grid import TASKS, composed
from mfpolicy.errors import UserError

GOOD = ("suite=quick_8", "methods=mp1,regression", "out=o")


def test_seeds_vary_slowest_and_tasks_fastest():
    cells = composed(*GOOD, "seed=range(2)", "demonstrations=[5,10]").cells
    assert len(cells) == 8 * 2 * 2 * 2
    assert [cell.name for cell in cells[:2]] == [
        "metaworld/drawer-open/mp1/d5-s0",
        "metaworld/lever-pull/mp1/d5-s0",
    ]
    assert cells[8].name == "metaworld/drawer-open/regression/d5-s0"
    assert cells[16].name == "metaworld/drawer-open/mp1/d5-s1"
    assert cells[-1].name == "adroit/pen/regression/d10-s1"
    assert cells[-1].config.data == "o/data/adroit/pen-d10.zarr"
    assert (cells[-1].difficulty, cells[-1].config.seed) == ("adroit", 1)


def test_words_of_train_hold_for_every_method():
    cells = composed(*GOOD, "training.steps=300", "curve=5", "tasks=adroit/pen").cells
    assert {cell.config.training.steps for cell in cells} == {300}
    assert {cell.config.training.snapshots for cell in cells} == {5}
    assert {cell.config.logging.wandb for cell in cells} == {"disabled"}
    words = ("policy=mp1_mixer", "objective=mp1", "training.steps=300", "training.snapshots=5")
    assert cells[0].overrides == words


def test_the_full_size_is_a_word():
    cells = composed(*GOOD, "policy=mp1", "tasks=adroit/pen").cells
    assert [cell.config.policy.name for cell in cells] == ["mp1", "mp1"]
    assert cells[1].config.objective["name"] == "regression"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("suite=quik_8",), "did you mean 'quick_8'"),
        (("methods=mp1,mp1_pluss",), "did you mean 'mp1_plus'"),
        (("tasks=metaworld/drawer-opne",), "did you mean 'metaworld/drawer-open'"),
        (("tasks=metaworld/reach",), "tasks must be of the suite quick_8"),
        (("episode=3",), "did you mean 'episodes'"),
        (("training.step=3",), "method mp1 .*did you mean"),
        (("task=adroit/pen",), "no option|neither"),
        (("seed=0,0",), "each of them once"),
        (("seed=-1",), "seed must be at least 0"),
        (("demonstrations=0",), "demonstrations must be at least 1"),
        (("methods=[]",), "methods must have values"),
        (("curve=50", "training.steps=12"), "training.snapshots needs .*50 snapshots, 12"),
        (("curve=5", "budget=5min"), "training.snapshots needs .*a budget in time"),
        (("curve=-1",), "curve must be at least 0"),
        (("episodes=1,2",), "episodes must have one value"),
        (("data=d/{task}.zarr", "demonstrations=1,2"), "a dataset of its own"),
        (("data=d/{tusk}.zarr",), "did you mean 'task'"),
        (("launcher=jobli",), "did you mean 'joblib'"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(words, message):
    by_key = {word.partition("=")[0]: word for word in (*GOOD, *words)}
    with pytest.raises(UserError, match=message):
        composed(*by_key.values())


def test_what_is_missing_is_named_with_an_example():
    with pytest.raises(UserError, match=r"needs suite=… and methods=… and out=….*benchmark run"):
        composed()
    with pytest.raises(UserError, match=r"needs methods=… and out=…"):
        composed("suite=quick_8")


def test_the_tasks_of_the_other_tests_are_there():
    assert set(TASKS) <= {
        cell.config.task for cell in composed("suite=metaworld_50", "methods=mp1", "out=o").cells
    }
