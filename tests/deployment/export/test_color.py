"""A policy that sees colors, without a recipe, exported: a robot gives it colored points."""

import dataclasses

import numpy as np
import pytest
import torch

from deployment.export.conftest import SMALLEST, policy_of
from deployment.export.test_folder import run_there
from mfpolicy.deployment.export import export_policy, robot_policy
from mfpolicy.pointcloud import sample
from mfpolicy.policy import Policy, save_policy


@pytest.fixture(scope="module")
def policy():
    spec = policy_of("regression", network=SMALLEST).spec
    changes = {"point_dim": 6, "recipe": None, "task": None, "control_rate_hz": None}
    return Policy(dataclasses.replace(spec, **changes)).eval()


@pytest.fixture(scope="module")
def folder(policy, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    save_policy(policy, run)
    folder = export_policy(run, format="folder").path
    assert folder == run / "robot"
    return folder


def test_without_a_recipe_it_takes_the_points_as_they_are(folder):
    assert run_there(folder, (folder / "example.py").read_text()).count("(3, 2)") == 3
    assert "red, green and blue from 0 to 255" in (folder / "README.md").read_text()


def test_it_decides_as_the_policy_does_and_refuses_other_points(policy, folder):
    random = np.random.default_rng(0)
    points = random.uniform(-1.5, 1.5, (300, 6)).astype(np.float32)
    points[:, 3:] = random.integers(0, 256, (300, 3))
    noise = random.normal(size=(4, 2)).astype(np.float32)
    robot = robot_policy.RobotPolicy(folder, threads=1)
    robot.observe(points, np.zeros(5))
    seen = {"point_cloud": sample(points, 8)[None, None].repeat(2, 1)}
    expected = policy.predict(
        {**seen, "agent_pos": np.zeros((1, 2, 5))}, noise=torch.from_numpy(noise)[None]
    )[0]
    np.testing.assert_allclose(robot.act(noise), expected, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match=r"\(M, 6, x, y, z, red, green, blue\)"):
        robot.observe(points[:, :3], np.zeros(5))
    robot.reset()
    robot.observe(points / [1, 1, 1, 255, 255, 255], np.zeros(5))
    with pytest.raises(ValueError, match="multiply those from 0 to 1 by 255"):
        robot.act()
