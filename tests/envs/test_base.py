"""`PointCloudEnv`: the contract that collection and evaluation rely on."""

from __future__ import annotations

import functools
import multiprocessing
import pickle
from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import envs
from envs.base import PointCloudEnv
from envs.camera import OffscreenCamera
from mfpolicy.errors import ActionError, ConfigError, ObservationError
from mfpolicy.pointcloud import PointCloudRecipe

pytestmark = pytest.mark.render

TASK = "metaworld/door-open"


@pytest.fixture(scope="module")
def env() -> Iterator[PointCloudEnv]:
    env = envs.make(TASK, points=128, horizon=30)
    env.reset(seed=0)
    yield env
    env.close()


def first_cloud(make_env: functools.partial[PointCloudEnv]) -> np.ndarray:
    env = make_env()
    cloud = env.reset(seed=3)[0]["point_cloud"]
    env.close()
    return cloud


def test_gymnasium_finds_nothing_to_object_to() -> None:
    env = gymnasium.make("mfpolicy/metaworld-door-open-v0", points=64, render_mode="rgb_array")
    with pytest.warns(UserWarning, match="infinity"):  # the robot's own state has no bounds
        check_env(env.unwrapped)
    env.close()


def test_step_is_simulate_then_observe(env: PointCloudEnv) -> None:
    env.reset(seed=4)
    action = env.expert_action()
    stepped = env.step(action)
    env.reset(seed=4)
    simulated = env.simulate(action)
    assert stepped[1:] == simulated
    observed = env.observe()
    assert all(np.array_equal(stepped[0][key], observed[key]) for key in observed)


def test_looking_changes_nothing(env: PointCloudEnv) -> None:
    def states(*, looking: bool) -> list[np.ndarray]:
        env.reset(seed=5)
        seen = []
        for _ in range(12):
            if looking:
                env.observe_full()
            env.simulate(env.expert_action())
            seen.append(env._simulation.full_state())
        return seen

    assert np.array_equal(states(looking=True), states(looking=False))


def test_simulate_renders_nothing(env: PointCloudEnv) -> None:
    env.reset(seed=0)
    before = (env.points_ms, env.render_ms)
    assert min(before) > 0
    env.simulate(env.expert_action())
    assert (env.points_ms, env.render_ms) == before
    env.observe()
    assert (env.points_ms, env.render_ms) != before


def test_episodes_are_truncated_at_the_horizon_and_may_go_on(env: PointCloudEnv) -> None:
    env.reset(seed=0)
    truncated = [env.simulate(np.zeros(4, np.float32))[2] for _ in range(32)]
    assert truncated == [False] * 29 + [True] * 3


def test_more_points_begin_with_the_fewer(env: PointCloudEnv) -> None:
    more = envs.make(TASK, points=300)
    few, many = env.reset(seed=6)[0]["point_cloud"], more.reset(seed=6)[0]["point_cloud"]
    assert np.array_equal(many[:128], few)
    more.close()


def test_an_unseeded_reset_follows_gymnasium(env: PointCloudEnv) -> None:
    def placements() -> list[int]:
        env.reset(seed=8)
        return [env.reset()[1]["seed"] for _ in range(3)]

    first = placements()
    assert placements() == first
    assert len(set(first)) == 3
    cloud = env.observe()["point_cloud"]
    assert np.array_equal(env.reset(seed=first[-1])[0]["point_cloud"], cloud)


def test_the_camera_description_repeats_the_cloud(env: PointCloudEnv) -> None:
    env.reset(seed=0)
    camera = env.camera
    assert camera["image_size"] == env.recipe.image_size
    world_to_camera = np.linalg.inv(camera["T_world_cam"])
    assert np.allclose(np.array(camera["T_world_cam"])[:3, 3], env.recipe.camera_position)
    cloud = env.observe()["point_cloud"]
    pixels = (cloud @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]) @ np.transpose(
        camera["intrinsics"]
    )
    pixels = pixels[:, :2] / pixels[:, 2:]
    assert np.allclose(pixels % 1, 0.5, atol=1e-2)
    assert (pixels > 0).all()
    assert (pixels < camera["image_size"]).all()


def test_a_recipe_of_a_dataset_is_repeated_as_it_stands() -> None:
    default = envs.make(TASK)
    moved = PointCloudRecipe.from_dict(
        {**default.recipe.to_dict(), "camera_position": [0.65, 0.2, 0.9], "points": 50}
    )
    env = envs.make(TASK, recipe=moved)
    assert env.recipe == moved
    seen = env.reset(seed=1)[0]["point_cloud"]
    usual = default.reset(seed=1)[0]["point_cloud"]
    assert seen.shape == (50, 3)
    # Another view of the same scene: new points near the old surfaces, not the same points.
    gap = np.linalg.norm(seen[:, None] - usual[None], axis=-1).min(axis=1)
    assert np.median(gap) < 0.03
    assert gap.max() > 0
    default.close()
    env.close()


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ([0, 0, 0], r"shape \(4,\).*Received: \(3,\)"),
        ([[0, 0, 0, 0]], r"shape \(4,\)"),
        ([0, 0, 0, np.nan], r"lie in \[-1, 1\]"),
        ([0, 0, 0, np.inf], r"lie in \[-1, 1\]"),
        ([0, 0, -1.01, 0], r"lie in \[-1, 1\].*clip the action"),
        (["a", 0, 0, 0], "array of numbers"),
        (None, r"shape \(4,\)"),
    ],
)
def test_an_action_outside_the_space_is_refused_and_does_nothing(
    env: PointCloudEnv, action: object, said: str
) -> None:
    env.reset(seed=0)
    before = env._simulation.full_state()
    with pytest.raises(ActionError, match=said):
        env.step(action)  # type: ignore[arg-type]
    assert np.array_equal(env._simulation.full_state(), before)


def test_rounding_beyond_the_space_is_forgiven(env: PointCloudEnv) -> None:
    env.reset(seed=0)
    rounded = env.simulate(np.nextafter(np.ones(4, np.float32), np.float32(2)))
    env.reset(seed=0)
    assert env.simulate(np.ones(4)) == rounded


def test_nothing_works_before_the_first_reset() -> None:
    env = envs.make(TASK, render_mode="rgb_array")
    with pytest.raises(ActionError, match="must be reset before its first action"):
        env.step(np.zeros(4))
    for look in (env.observe, env.observe_full, env.render):
        with pytest.raises(ObservationError, match="must be reset before"):
            look()
    env.close()


@pytest.mark.parametrize("seed", [-1, 1.5, "1"])
def test_a_seed_is_a_whole_number(env: PointCloudEnv, seed: object) -> None:
    with pytest.raises(ConfigError, match="seed must be a whole number"):
        env.reset(seed=seed)  # type: ignore[arg-type]


def test_reset_has_no_options_and_render_needs_its_mode(env: PointCloudEnv) -> None:
    with pytest.raises(ConfigError, match="reset takes no options"):
        env.reset(seed=0, options={"goal": 1})
    with pytest.raises(ConfigError, match="render_mode='rgb_array'"):
        env.render()


def test_pictures_are_right_side_up() -> None:
    env = envs.make(TASK, render_mode="rgb_array")
    env.reset(seed=0)
    simulation = env._simulation
    camera = OffscreenCamera(simulation.model, "corner4", width=256, height=256, antialias=True)
    as_hung = camera.color(simulation.data)
    down_in_image = camera.T_world_cam(simulation.data)[:3, 1]
    assert down_in_image[2] > 0.5  # the scene's camera hangs upside down
    assert np.array_equal(env.render(), as_hung[::-1, ::-1])
    camera.close()
    env.close()


def test_closing_twice_is_harmless_and_use_afterwards_an_error() -> None:
    env = envs.make("metaworld/reach", points=64, image_size=32, render_mode="rgb_array")
    env.reset(seed=9)
    env.close()
    env.close()
    for use in (env.reset, env.observe, env.observe_full, env.render):
        with pytest.raises(ObservationError, match="after it was closed"):
            use()
    with pytest.raises(ActionError, match="must be reset"):
        env.step(np.zeros(4))


def test_spawned_processes_see_the_same(env: PointCloudEnv) -> None:
    make_env = functools.partial(envs.make, TASK, points=128)
    assert np.array_equal(first_cloud(pickle.loads(pickle.dumps(make_env))), first_cloud(make_env))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        theirs = pool.apply(_reset_in_child, (make_env,))
    assert np.array_equal(theirs, env.reset(seed=3)[0]["point_cloud"])


def _reset_in_child(make_env: functools.partial[PointCloudEnv]) -> np.ndarray:
    return make_env().reset(seed=3)[0]["point_cloud"]
