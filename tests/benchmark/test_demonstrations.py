"""Demonstrations that are there are taken as they are, and told apart by what they hold."""

from __future__ import annotations

import pytest

from mfpolicy.benchmark import demonstrations
from mfpolicy.benchmark.demonstrations import digest_of, provide, read_collected
from mfpolicy.cli import collect as collecting
from mfpolicy.cli.benchmarks.run import recipe_of
from mfpolicy.config import compose
from mfpolicy.errors import DataError
from oracles.demonstrations import RECIPE, write_dataset

TASK = "metaworld/reach"


def _never(*_: object) -> None:
    raise AssertionError("nothing was to be collected")


def test_a_whole_dataset_is_taken_without_a_lock_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "reach.zarr"
    write_dataset(path, task=TASK, episodes=2)
    monkeypatch.setattr(demonstrations, "lock_or_none", _never)  # as where nobody can write
    assert provide(path, TASK, 2, _never) == read_collected(path)


def test_the_digest_is_of_the_demonstrations_and_not_of_their_place(tmp_path):
    paths = [tmp_path / f"{name}.zarr" for name in ("one", "same", "more")]
    for path, episodes in zip(paths, (2, 2, 3), strict=True):
        write_dataset(path, task=TASK, episodes=episodes)
    one, same, more = (read_collected(path).digest for path in paths)
    assert one == same == digest_of(paths[0], 2)
    assert one != more
    assert digest_of(paths[2], 2) is None
    assert digest_of(tmp_path / "nowhere.zarr", 2) is None


def test_demonstrations_that_are_there_must_be_made_as_those_that_would_be_collected(tmp_path):
    path = tmp_path / "reach.zarr"
    write_dataset(path, task=TASK, episodes=2)
    recipe = RECIPE.to_dict()
    assert provide(path, TASK, 2, _never, recipe=recipe) == read_collected(path)
    wanted = recipe | {"points": 7, "hidden_bodies": ["table"]}
    with pytest.raises(DataError, match="as those that would be collected") as refused:
        provide(path, TASK, 2, _never, recipe=wanted)
    assert f"points: {RECIPE.points} there, 7 wanted" in str(refused.value)
    assert "hidden_bodies: None there, ['table'] wanted" in str(refused.value)


@pytest.mark.render
def test_the_command_knows_how_it_would_collect():
    env = collecting.environment_of(compose("collect", ["task=adroit/pen", "out=o"]))()
    assert recipe_of("adroit/pen") == env.recipe.to_dict()
    env.close()
