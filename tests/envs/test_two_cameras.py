"""A scene seen by two cameras: each as it sees by itself, and where it stands."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest

import envs
from envs.base import PointCloudEnv
from mfpolicy.errors import ConfigError
from mfpolicy.pointcloud import PointCloudRecipe, sample

pytestmark = pytest.mark.render
make = functools.partial(envs.make, "metaworld/drawer-open", points=32, image_size=48)
TWO = ("corner2", "topview")


@pytest.fixture(scope="module")
def seen():
    """By the cameras and how: recipe, camera, observation and all that is observed, seed 4."""

    @functools.cache
    def look(cameras: tuple[str, ...] | None, clouds: str | None = None, points: int = 32):
        env = make(cameras=cameras, clouds=clouds, points=points, color=True)
        try:
            env.reset(seed=4)
            assert env.observation_space.contains(env.observe())
            return env.recipe, env.camera, env.observe()["point_cloud"], env.observe_full()
        finally:
            env.close()

    return look


def test_apart_each_part_is_what_its_camera_sees_alone(seen: Callable) -> None:
    cloud = seen(TWO, "apart")[2]
    for turn, name in enumerate(TWO):
        assert np.array_equal(cloud[turn::2], seen((name,), None, 16)[2])


def test_merged_is_the_sample_of_all_that_both_see(seen: Callable) -> None:
    recipe, _, cloud, full = seen(TWO)
    assert (recipe.clouds, recipe.points, cloud.shape) == ("merged", 32, (32, 6))
    assert np.array_equal(cloud, np.concatenate([full["point_cloud"], full["color"]], axis=1))
    every = [seen((name,), None, 48 * 48)[2] for name in TWO]  # all they see, gone through again
    assert np.array_equal(cloud, sample(np.concatenate(every), 32))
    assert not any(np.array_equal(cloud, sample(points, 32)) for points in every)


def test_the_suites_camera_is_the_default_and_stands_where_the_suite_has_it(seen: Callable) -> None:
    recipe, camera, cloud, _ = seen(None)
    assert np.array_equal(cloud, seen(("corner2",))[2])
    assert recipe.to_dict().keys().isdisjoint({"further_cameras", "clouds"})
    assert "further_cameras" not in camera
    two, cameras, *_ = seen(TWO, "apart")
    assert two.views[0] == recipe.views[0]
    assert {key: cameras[key] for key in camera} == camera
    (other,) = cameras["further_cameras"]
    assert other == seen(("topview",), None, 16)[1]
    placed = np.array(other["T_world_cam"])[:3, 3]
    np.testing.assert_allclose(placed, two.views[1].camera_position)


def test_a_recipe_is_seen_again_from_its_record(seen: Callable) -> None:
    recipe, _, cloud, _ = seen(TWO, "apart")
    env = envs.make(
        "metaworld/drawer-open", recipe=PointCloudRecipe.from_dict(recipe.to_dict()), color=True
    )
    try:
        assert np.array_equal(env.reset(seed=4)[0]["point_cloud"], cloud)
        with pytest.raises(ConfigError, match="images are given of a single camera.*topview"):
            env.images()
    finally:
        env.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cameras": ["corner2", "topviw"]}, "one of the scene's cameras.*did you mean 'topview'"),
        ({"cameras": ["corner2", "gripperPOV"]}, "fixed to the world.*choose one of topview"),
        ({"cameras": ["topview", "topview"]}, "must be named once"),
        ({"cameras": "topview"}, "must be a list of at least one name"),
        ({"cameras": []}, "must be a list of at least one name"),
        ({"clouds": "apart"}, "two cameras at least"),
        ({"cameras": TWO, "clouds": "apart", "points": 31}, "31 points, 2 cameras"),
    ],
)
def test_what_cannot_be_seen_is_refused(options: dict, said: str) -> None:
    def opened() -> PointCloudEnv:
        return make(**options)

    with pytest.raises(ConfigError, match=said):
        opened()
