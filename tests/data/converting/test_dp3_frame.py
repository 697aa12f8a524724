"""DP3's clouds of Adroit, brought to the world frame, are those that our camera sees."""

import dataclasses

import numpy as np
import pytest

import envs
from data.converting.recordings import dp3_cloud
from envs.suites import suite_of
from mfpolicy.data.converting.dp3_frame import TASKS, camera_pose, dp3_from_camera, to_world_frame
from mfpolicy.pointcloud import depth_to_points, to_world

DP3_CROP_M = {"adroit/door": -0.499, "adroit/hammer": -0.099, "adroit/pen": -0.79}


@pytest.mark.render
@pytest.mark.parametrize("task", TASKS)
def test_a_cloud_by_dp3s_formula_becomes_the_one_that_our_environment_renders(task):
    env = envs.make(task, image_size=84)
    env._simulation.reset(5)
    env._steps = 0
    depth, _ = env._cloud_camera.images(color=False)
    pose = np.array(env.camera["T_world_cam"])
    ours = to_world(depth_to_points(depth, np.array(env.camera["intrinsics"])), pose)
    theirs = dp3_cloud(depth.astype(np.float64), task)
    found = to_world_frame(theirs, task, env.recipe)
    np.testing.assert_allclose(found, ours, atol=2e-5)
    kept_there, kept_here = theirs[:, 2] > DP3_CROP_M[task], ours[:, 2] > env.recipe.crop_min[2]
    assert kept_here.sum() > 300
    assert (kept_there != kept_here).mean() < 0.001
    env.close()


@pytest.mark.parametrize("task", TASKS)
def test_there_and_back_by_dp3s_own_formula(task):
    recipe = dataclasses.replace(suite_of(task).recipes[task], image_size=84)
    depth = np.random.default_rng(0).uniform(0.3, 2.0, (84, 84))
    theirs = dp3_cloud(depth, task)
    world = to_world_frame(theirs, task, recipe)
    pose = camera_pose(recipe)
    seen = (world - pose[:3, 3]) @ pose[:3, :3]
    np.testing.assert_allclose(seen[:, 2], depth.ravel(), atol=1e-12)
    # Seen from the true camera, point (u, v) lies on the ray through the centre of its pixel.
    focal = 84 / (2 * np.tan(np.pi / 8))
    columns = seen[:, 0] / seen[:, 2] * focal + 42
    np.testing.assert_allclose(columns.reshape(84, 84)[0], np.arange(84) + 0.5, atol=1e-9)


@pytest.mark.parametrize("task", TASKS)
def test_the_frame_change_is_a_rotation(task):
    rotation, _ = dp3_from_camera(task)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
