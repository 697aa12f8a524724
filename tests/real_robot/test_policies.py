"""Policies of a controller: a run of this machine, and one that a server holds, are the same."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from deployment.serving import running
from mfpolicy.errors import ConfigError, RunError
from mfpolicy.pointcloud import PointCloudRecipe
from mfpolicy.policy import Policy
from mfpolicy.policy.files import save_policy
from oracles.small_policy import small_policy
from real_robot.policies import OpenPolicy, open_policy


@pytest.fixture(scope="module")
def policy() -> Policy:
    recipe = PointCloudRecipe("front", (0, 0, 0), 84, (-1, -1, 0), (1, 1, 2), points=8)
    spec = dataclasses.replace(
        small_policy("regression").spec, recipe=recipe.to_dict(), control_rate_hz=10.0
    )
    return Policy(spec).eval()


def test_a_run_and_a_server_give_the_same_policy(policy, tmp_path):
    from mfpolicy.deployment.chunk_policy import EagerChunkPolicy

    save_policy(policy, tmp_path / "run")
    here = open_policy(run=str(tmp_path / "run"), compiled=False)
    seen = {
        "point_cloud": np.random.default_rng(0).random((1, 2, 8, 3), np.float32),
        "agent_pos": np.zeros((1, 2, 5), np.float32),
    }
    with running(EagerChunkPolicy(policy)) as server:
        there = open_policy(server=server.url)
        assert there.facts == here.facts
        assert (here.facts.rate_hz, here.facts.points, here.facts.crop_max) == (10, 8, (1, 1, 2))
        for each in (here, there):
            each.warm()
        np.testing.assert_allclose(there.decide(seen), here.decide(seen), atol=1e-5)
        there.close()
    here.close()


def test_what_cannot_run_on_a_robot_is_refused(policy):
    with pytest.raises(ConfigError, match="either run or server"):
        open_policy()
    with pytest.raises(ConfigError, match="either run or server"):
        open_policy(run="a", server="ws://b")
    with running() as server, pytest.raises(ConfigError, match="how its point clouds were made"):
        open_policy(server=server.url)
    with pytest.raises(ConnectionError):
        open_policy(server="ws://127.0.0.1:9", timeout_s=1.0)


def test_a_policy_of_other_shapes_is_noticed_before_it_moves_anything(policy):
    from real_robot.core import PolicyFacts

    wrong = OpenPolicy(lambda seen: np.zeros((1, 9, 2)), PolicyFacts.of(policy.spec))
    with pytest.raises(RunError, match=r"\(1, 3, 2\)"):
        wrong.warm()
