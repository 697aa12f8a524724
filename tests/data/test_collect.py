import dataclasses

import numpy as np
import pytest

from mfpolicy.data.collect import CollectProgress, collect
from mfpolicy.data.demonstration import record_demonstration
from mfpolicy.data.store import DatasetWriter, open_dataset
from mfpolicy.errors import ConfigError, DataError
from mfpolicy.pointcloud import PointCloudRecipe
from mfpolicy.types import DemonstrationRule, TaskSpec


def fails_often(seed):
    return seed % 3 == 1


def files_of(path):
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}


def test_a_collection_has_the_successes_in_order_of_their_seeds(tmp_path, toy_env):
    env = toy_env(fails=fails_often)
    report = collect(lambda: env, tmp_path / "toy.zarr", episodes=4, seed=10)
    assert report.seeds == [11, 12, 14, 15]  # 10 and 13 fail
    assert (report.kept, report.attempted) == (4, 6)
    assert report.expert_success_rate == pytest.approx(4 / 6)
    assert env.closed
    dataset = open_dataset(report.path)
    assert dataset.seeds.tolist() == report.seeds
    assert dataset.success.all()
    assert dataset.step_count == report.steps
    assert (dataset.spec.task, dataset.spec.expert, dataset.spec.control_rate_hz) == (
        "toy/reach", "scripted", 20.0,
    )  # fmt: skip
    assert dataset.spec.extra["renderer"] == "egl"
    assert dataset.spec.recipe == toy_env.recipe
    assert dataset.spec.camera == toy_env.camera


def test_a_step_stores_what_was_there_before_its_action(tmp_path, toy_env):
    collect(toy_env, tmp_path / "toy.zarr", episodes=1, seed=5)
    episode = open_dataset(tmp_path / "toy.zarr").episode(0)
    env = toy_env()
    env.reset(seed=5)
    for step in range(len(episode)):
        seen = env.observe_full()
        np.testing.assert_array_equal(episode.point_cloud[step], seen["point_cloud"])
        np.testing.assert_array_equal(episode.agent_pos[step], seen["agent_pos"])
        np.testing.assert_array_equal(episode.color[step], seen["color"])
        np.testing.assert_array_equal(episode.extras["full_state"][step], seen["full_state"])
        env.expert_action()
        env.simulate(episode.action[step])  # the stored action is the one that was taken


@pytest.mark.parametrize("tail_steps", [0, 1, 7, 1000])
def test_an_episode_ends_with_the_tail_or_the_horizon(tmp_path, toy_env, tail_steps):
    collect(toy_env, tmp_path / "toy.zarr", episodes=1, seed=0, tail_steps=tail_steps)
    env = toy_env()
    env.reset(seed=0)
    first_success = next(
        step for step in range(40)
        if env.simulate(np.float32(env.expert_action()))[3]["success"]
    )  # fmt: skip
    length = len(open_dataset(tmp_path / "toy.zarr").episode(0))
    assert length == min(first_success + 1 + tail_steps, 40)


@pytest.mark.parametrize(
    ("rule", "length", "kept"),
    [
        (DemonstrationRule(), 14, True),
        (DemonstrationRule(tail_steps=2), 6, True),
        (DemonstrationRule(tail_steps=None), 20, True),
        (DemonstrationRule(tail_steps=None, goal_steps=7), 20, True),
        (DemonstrationRule(tail_steps=None, goal_steps=8), 20, False),
        (DemonstrationRule(tail_steps=None, goal_steps=7, success_at_end=True), 20, False),
        (DemonstrationRule(tail_steps=3, goal_steps=4, success_at_end=True), 7, True),
        (DemonstrationRule(tail_steps=3, goal_steps=5, success_at_end=True), 7, False),
    ],
)
def test_a_task_says_what_is_kept_of_an_attempt(toy_env, rule, length, kept):
    class ForAWhile(toy_env):
        """Success from the 4th to the 10th of 20 steps."""

        spec_task = TaskSpec(
            "toy/reach", "toy", "easy", 3, 2, 20, 20.0, "scripted", demonstration=rule
        )

        def simulate(self, action):
            super().simulate(action)
            return 0.0, False, False, {"success": 4 <= self.simulated <= 10}

    env = ForAWhile()
    recorded = record_demonstration(env, 0, rule=rule, store_extras=False)
    assert (len(recorded), recorded.success) == (length, kept)


def test_a_collection_follows_the_rule_of_its_task_and_keeps_to_it(tmp_path, toy_env):
    strict = _another(
        toy_env,
        spec_task=dataclasses.replace(
            toy_env.spec_task,
            demonstration=DemonstrationRule(None, goal_steps=10, success_at_end=True),
        ),
    )
    path = tmp_path / "toy.zarr"
    collect(strict, path, episodes=2, seed=0)
    assert [len(open_dataset(path).episode(index)) for index in (0, 1)] == [40, 40]
    before = files_of(path)
    assert collect(strict, path, episodes=2, seed=0).kept == 2
    assert files_of(path) == before
    with pytest.raises(DataError, match="'tail_steps': None.*Received.*'tail_steps': 10"):
        collect(strict, path, episodes=2, seed=0, tail_steps=10)
    # Another rule of what is kept makes another dataset.
    lax = dataclasses.replace(
        toy_env.spec_task, demonstration=DemonstrationRule(None, goal_steps=9, success_at_end=True)
    )
    with pytest.raises(DataError, match="'goal_steps': 10.*Received.*'goal_steps': 9"):
        collect(_another(toy_env, spec_task=lax), path, episodes=2, seed=0)


def test_the_same_seed_gives_the_same_files(tmp_path, toy_env):
    for name in ("one.zarr", "other.zarr"):
        collect(toy_env, tmp_path / name, episodes=3, seed=1)
    collect(toy_env, tmp_path / "third.zarr", episodes=3, seed=2)
    assert files_of(tmp_path / "one.zarr") == files_of(tmp_path / "other.zarr")
    assert files_of(tmp_path / "one.zarr") != files_of(tmp_path / "third.zarr")


@pytest.mark.parametrize("interrupt_after", [0, 5, 16, 17, 60, 90, 130])
def test_an_interrupted_collection_goes_on_to_the_same_files(tmp_path, toy_env, interrupt_after):
    at_once = collect(
        lambda: toy_env(fails=fails_often), tmp_path / "at-once.zarr", episodes=4, seed=0
    )
    path = tmp_path / "broken.zarr"
    env = toy_env(fails=fails_often, interrupt_after=interrupt_after)
    with pytest.raises(KeyboardInterrupt):
        collect(lambda: env, path, episodes=4, seed=0)
    assert env.closed
    attempts = []
    resumed = collect(
        lambda: toy_env(fails=fails_often), path, episodes=4, seed=0, progress=attempts.append
    )
    assert files_of(path) == files_of(at_once.path)
    assert (resumed.seeds, resumed.attempted, resumed.expert_success_rate) == (
        at_once.seeds, at_once.attempted, at_once.expert_success_rate,
    )  # fmt: skip
    tried_before = at_once.attempted - len(attempts)
    assert [attempt.seed for attempt in attempts] == list(range(tried_before, at_once.attempted))


def test_a_complete_collection_is_left_as_it_is(tmp_path, toy_env):
    first = collect(toy_env, tmp_path / "toy.zarr", episodes=3, seed=0)
    before = files_of(first.path)
    env = toy_env()
    again = collect(lambda: env, first.path, episodes=3, seed=0)
    assert env.simulated == 0
    assert (again.kept, again.attempted, again.seeds) == (3, first.attempted, first.seeds)
    assert files_of(first.path) == before


def test_a_collection_can_be_extended_to_the_same_files(tmp_path, toy_env):
    for episodes in (1, 3, 4):
        collect(toy_env, tmp_path / "steps.zarr", episodes=episodes, seed=0)
    collect(toy_env, tmp_path / "at-once.zarr", episodes=4, seed=0)
    assert files_of(tmp_path / "steps.zarr") == files_of(tmp_path / "at-once.zarr")


def _another(toy_env, **attributes):
    return type("Another", (toy_env,), attributes)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seed": 1}, "'first_seed': 0.*Received.*'first_seed': 1"),
        ({"tail_steps": 3}, "'tail_steps': 10.*Received.*'tail_steps': 3"),
        ({"store_extras": False}, "'store_extras': True"),
        ({"episodes": 1}, "2 there, 1 asked for.*episodes=2"),
    ],
)
def test_other_settings_on_the_same_path_are_refused(tmp_path, toy_env, options, told):
    path = tmp_path / "toy.zarr"
    collect(toy_env, path, episodes=2, seed=0)
    before = files_of(path)
    with pytest.raises(DataError, match=told):
        collect(toy_env, path, **{"episodes": 2, "seed": 0, **options})
    assert files_of(path) == before


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"spec_task": TaskSpec("toy/push", "toy", "easy", 3, 2, 40, 20.0, "scripted")},
         "'toy/reach' there, 'toy/push' now"),
        ({"recipe": PointCloudRecipe("top", (0, 0, 9), 32, (-1, -1, 0), (1, 1, 1), points=12)},
         "recipe"),
        ({"renderer": "raycast"}, "own settings.*'renderer': 'raycast'"),
    ],
)  # fmt: skip
def test_another_task_or_recipe_on_the_same_path_is_refused(tmp_path, toy_env, attributes, told):
    path = tmp_path / "toy.zarr"
    collect(toy_env, path, episodes=1, seed=0)
    with pytest.raises(DataError, match=told):
        collect(_another(toy_env, **attributes), path, episodes=2, seed=0)
    assert open_dataset(path).episode_count == 1


def test_a_dataset_that_was_not_collected_is_not_continued(tmp_path, toy_env, write_dataset):
    with pytest.raises(DataError, match="continued with its own settings"):
        collect(toy_env, write_dataset(20), episodes=2, seed=100)


def test_a_second_collection_at_the_same_time_is_refused(tmp_path, toy_env, spec):
    path = tmp_path / "toy.zarr"
    collect(toy_env, path, episodes=1, seed=0)
    env = toy_env()
    with DatasetWriter.open(path, spec), pytest.raises(DataError, match="only one process"):
        collect(lambda: env, path, episodes=2, seed=0)
    assert env.closed


def test_an_expert_that_fails_too_often_is_reported_with_its_rate(tmp_path, toy_env):
    path = tmp_path / "toy.zarr"
    env = toy_env(fails=lambda seed: seed != 2)
    with pytest.raises(DataError, match=r"5 times, but did 1 times in 10 attempts \(10%\)"):
        collect(lambda: env, path, episodes=5, seed=0, max_attempts=10)
    dataset = open_dataset(path)
    assert dataset.seeds.tolist() == [2]
    assert dataset.journal["failed_seeds"] == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    more = toy_env(fails=lambda seed: False)  # seeds once failed are never tried again
    assert collect(lambda: more, path, episodes=2, seed=0).seeds == [2, 10]


def test_an_expert_that_never_succeeds_leaves_an_empty_dataset_and_is_counted(tmp_path, toy_env):
    path = tmp_path / "toy.zarr"
    for max_attempts in (2, 3):
        env = toy_env(fails=lambda seed: True)
        with pytest.raises(DataError, match=rf"0 times in {max_attempts} attempts \(0%\)"):
            collect(lambda env=env: env, path, episodes=1, seed=0, max_attempts=max_attempts)
    assert env.simulated == 40  # the third attempt alone
    with pytest.raises(DataError, match="at least one finished episode"):
        open_dataset(path)


def test_progress_tells_each_attempt(tmp_path, toy_env):
    attempts = []
    collect(
        lambda: toy_env(fails=lambda seed: seed == 1), tmp_path / "toy.zarr",
        episodes=2, seed=0, progress=attempts.append,
    )  # fmt: skip
    lengths = np.diff(open_dataset(tmp_path / "toy.zarr").episode_ends, prepend=0)
    assert attempts == [
        CollectProgress(seed=0, success=True, steps=lengths[0], kept=1, wanted=2, attempted=1),
        CollectProgress(seed=1, success=False, steps=40, kept=1, wanted=2, attempted=2),
        CollectProgress(seed=2, success=True, steps=lengths[1], kept=2, wanted=2, attempted=3),
    ]


def test_extras_can_be_left_out(tmp_path, toy_env):
    collect(toy_env, tmp_path / "toy.zarr", episodes=1, seed=0, store_extras=False)
    dataset = open_dataset(tmp_path / "toy.zarr")
    assert dataset.array_names == ["action", "point_cloud", "state"]
    collect(toy_env, tmp_path / "full.zarr", episodes=1, seed=0)
    full = open_dataset(tmp_path / "full.zarr").episode(0)
    np.testing.assert_array_equal(dataset.episode(0).point_cloud, full.point_cloud)


@pytest.mark.parametrize(
    "options", [{"episodes": 0}, {"seed": -1}, {"tail_steps": -1}, {"max_attempts": 0}]
)
def test_numbers_out_of_range_are_refused_before_anything_is_built(tmp_path, options):
    def make_env():
        raise AssertionError("not to be built")

    with pytest.raises(ConfigError, match=next(iter(options))):
        collect(make_env, tmp_path / "toy.zarr", **{"episodes": 1, "seed": 0, **options})
    assert not list(tmp_path.iterdir())


def test_images_are_stored_when_asked_for_and_belong_to_the_settings(toy_env, tmp_path):
    class SeeingEnv(toy_env):
        def observe_full(self, *, images=False):
            full = super().observe_full()
            return full | ({"depth": np.ones((4, 4), np.float32)} if images else {})

    collect(SeeingEnv, tmp_path / "a.zarr", episodes=1, seed=0, store_images=True)
    assert "depth" in open_dataset(tmp_path / "a.zarr").array_names
    with pytest.raises(DataError, match="store_images"):
        collect(SeeingEnv, tmp_path / "a.zarr", episodes=2, seed=0)
    with pytest.raises(ConfigError, match="needs store_extras=true"):
        collect(SeeingEnv, tmp_path / "b.zarr", episodes=1, seed=0,
                store_extras=False, store_images=True)  # fmt: skip
