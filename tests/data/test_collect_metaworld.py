"""Collection with the real simulator: reproducible, resumable, and what was recorded happened."""

import functools

import numpy as np
import pytest

import envs
from mfpolicy.data.collect import collect
from mfpolicy.data.store import open_dataset

pytestmark = pytest.mark.render

make_env = functools.partial(envs.make, "metaworld/button-press", points=64, image_size=64)


@pytest.fixture(scope="module")
def at_once(tmp_path_factory):
    path = tmp_path_factory.mktemp("collected") / "at-once.zarr"
    return collect(make_env, path, episodes=2, seed=3, tail_steps=2)


def test_a_resumed_collection_has_the_same_files(at_once, tmp_path):
    """The second process builds its environment anew, so an episode depends on its seed alone."""
    for episodes in (1, 2):
        collect(make_env, tmp_path / "resumed.zarr", episodes=episodes, seed=3, tail_steps=2)
    one, other = (
        {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}
        for root in (at_once.path, tmp_path / "resumed.zarr")
    )
    assert one == other


def test_the_recorded_actions_lead_through_the_recorded_states(at_once):
    dataset = open_dataset(at_once.path)
    episode = dataset.episode(1)
    env = make_env()
    try:
        env.reset(seed=episode.seed)
        for step in range(len(episode)):
            if step % 20 == 0:
                np.testing.assert_array_equal(
                    env.observe()["point_cloud"], episode.point_cloud[step]
                )
            np.testing.assert_array_equal(env.observe()["agent_pos"], episode.agent_pos[step])
            info = env.simulate(episode.action[step])[3]
        assert info["success"]
    finally:
        env.close()


def test_the_dataset_describes_its_camera_and_recipe(at_once):
    spec = open_dataset(at_once.path).spec
    assert spec.task == "metaworld/button-press"
    assert spec.recipe is not None
    assert spec.camera is not None
    assert spec.recipe.points == spec.points == 64
    assert np.allclose(np.array(spec.camera["T_world_cam"])[:3, 3], spec.recipe.camera_position)
    cloud = open_dataset(at_once.path).read_points(0, 5)
    assert (cloud > np.float32(spec.recipe.crop_min)).all()
    assert (cloud < np.float32(spec.recipe.crop_max)).all()
