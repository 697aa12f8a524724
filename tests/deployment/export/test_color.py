"""A policy that sees colors, exported: a robot gives it points with red, green and blue."""

import dataclasses

import numpy as np
import pytest
import torch

from deployment.export.conftest import RECIPE, policy_of
from mfpolicy.deployment.export import export_policy, robot_policy
from mfpolicy.pointcloud import crop, sample
from mfpolicy.policy import Policy, save_policy


@pytest.fixture(scope="module")
def policy():
    return Policy(dataclasses.replace(policy_of("regression").spec, point_dim=6)).eval()


@pytest.fixture(scope="module")
def robot(policy, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    save_policy(policy, run)
    folder = export_policy(run, format="folder").path
    assert "red, green and blue from 0 to 255" in (folder / "README.md").read_text()
    return robot_policy.RobotPolicy(folder, threads=1)


@pytest.fixture
def points():
    random = np.random.default_rng(0)
    colors = random.integers(0, 256, (300, 3))
    return np.concatenate([random.uniform(-1.5, 1.5, (300, 3)), colors], axis=1, dtype=np.float32)


def test_it_decides_as_the_policy_does_from_colored_points(policy, robot, points):
    noise = np.random.default_rng(1).normal(size=(4, 2)).astype(np.float32)
    robot.reset()
    robot.observe(points, np.zeros(5))
    kept = sample(points[crop(points, RECIPE["crop_min"], RECIPE["crop_max"])], 8)
    seen = {"point_cloud": kept[None, None].repeat(2, 1), "agent_pos": np.zeros((1, 2, 5))}
    expected = policy.predict(seen, noise=torch.from_numpy(noise)[None])[0]
    np.testing.assert_allclose(robot.act(noise), expected, rtol=0, atol=1e-5)


def test_points_without_colors_or_with_fractions_are_refused(robot, points):
    with pytest.raises(ValueError, match=r"\(M, 6, x, y, z, red, green, blue\)"):
        robot.observe(points[:, :3], np.zeros(5))
    robot.reset()
    robot.observe(points / [1, 1, 1, 255, 255, 255], np.zeros(5))
    with pytest.raises(ValueError, match="multiply those from 0 to 1 by 255"):
        robot.act()
