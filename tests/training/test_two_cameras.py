"""From two cameras of a real scene to a policy that is evaluated: merged, and encoded apart."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

import envs
from mfpolicy.cli.collect import environment_of
from mfpolicy.cli.eval import environment_of as evaluation_of
from mfpolicy.config import compose
from mfpolicy.data import WindowDataset, open_dataset
from mfpolicy.data.collect import collect
from mfpolicy.data.editing.recompute import recompute
from mfpolicy.data.editing.resample import resample
from mfpolicy.errors import ConfigError, DataError, RunError
from mfpolicy.evaluation import run_episode
from mfpolicy.evaluation.services import check_fit
from mfpolicy.policy import load_policy
from mfpolicy.training import train

pytestmark = pytest.mark.render
TASK = "metaworld/button-press"
CAMERAS = ["corner2", "topview"]
WINDOWS = {"n_obs_steps": 2, "horizon": 4, "n_action_steps": 3}


@pytest.fixture(scope="module", params=["merged", "apart"])
def dataset(request, tmp_path_factory):
    """One episode by the options of the command line; its first steps are all that is needed."""
    out = tmp_path_factory.mktemp(request.param) / "two.zarr"
    words = [f"cameras={','.join(CAMERAS).join('[]')}", f"clouds={request.param}", "points=32"]
    config = compose("collect", [f"task={TASK}", f"out={out}", "suite.image_size=48", *words])
    collect(environment_of(config), out, episodes=1, seed=0, tail_steps=1, store_extras=False)
    return open_dataset(out)


def _words(dataset, out) -> list[str]:
    return [
        f"task={TASK}", f"data={dataset.path}", f"out={out}", "policy=mp1_mixer",
        "network.width=16", "network.depth=1", "encoder.widths=[8,8]", "policy.points=16",
        "training.steps=2", "training.batch_size=4", "logging.wandb=disabled",
    ]  # fmt: skip


def test_a_dataset_of_two_cameras_is_trained_and_evaluated(dataset, tmp_path):
    recipe = dataset.spec.recipe
    assert [view.camera for view in recipe.views] == CAMERAS
    run = train(compose("train", _words(dataset, tmp_path / "run"))).run
    policy = load_policy(run)
    apart = recipe.clouds == "apart"
    assert len(getattr(policy.encoder.cloud, "encoders", [policy.encoder.cloud])) == 1 + apart
    assert policy.spec.recipe == {**recipe.to_dict(), "points": 16}
    make_env = evaluation_of(compose("eval", [f"run={run}"]))
    env = make_env(horizon=4)
    try:
        check_fit(policy.spec, env)
        shown = env.reset(seed=0)[0]["point_cloud"]
        assert np.array_equal(shown, dataset.read_points(0, 1)[0, :16])  # as it was in training
        assert run_episode(env, policy, 10_000).steps == 4
        other = {**policy.spec.recipe, "further_cameras": [], "clouds": "merged"}
        with pytest.raises(RunError, match="must agree on the point-cloud recipe's"):
            check_fit(dataclasses.replace(policy.spec, recipe=other), env)
    finally:
        env.close()


def test_points_that_cannot_be_divided_are_refused(dataset, tmp_path):
    if dataset.spec.recipe.clouds == "merged":
        assert WindowDataset(dataset, **WINDOWS, points=15).points == 15
        return
    with pytest.raises(DataError, match="15 points, 2 cameras.*take 14 points"):
        WindowDataset(dataset, **WINDOWS, points=15)
    with pytest.raises(DataError, match="15 points, 2 cameras"):
        resample(dataset.path, tmp_path / "fewer.zarr", points=15)


@pytest.mark.parametrize("method", ["prefix", "fps"])
def test_fewer_points_are_fewer_of_each(dataset, tmp_path, method):
    resample(dataset.path, tmp_path / "fewer.zarr", points=8, method=method)
    fewer = open_dataset(tmp_path / "fewer.zarr")
    assert fewer.spec.recipe.points == 8
    assert np.array_equal(fewer.read_points(0, 3), dataset.read_points(0, 3)[:, :8])


def test_what_is_of_one_camera_alone_is_refused(dataset, tmp_path):
    make_env = functools.partial(
        envs.make, TASK, cameras=CAMERAS, clouds=dataset.spec.recipe.clouds, points=32
    )
    with pytest.raises(DataError, match="recompute needs"):
        recompute(dataset.path, tmp_path / "again.zarr")
    if dataset.spec.recipe.clouds == "merged":
        return
    with pytest.raises(ConfigError, match="images of a single camera.*corner2.*topview"):
        collect(make_env, tmp_path / "images.zarr", episodes=1, seed=0, store_images=True)
