"""Colors all the way: collected in Meta-World, trained on, shown in an evaluation, deployed."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
import yaml

import envs
from mfpolicy.cli.eval import environment_of
from mfpolicy.config import compose
from mfpolicy.data import open_dataset
from mfpolicy.data.collect import collect
from mfpolicy.errors import DataError, RunError
from mfpolicy.evaluation.services import EpisodeService
from mfpolicy.policy import load_policy
from mfpolicy.training import train

pytestmark = pytest.mark.render

TASK = "metaworld/button-press"
SMALL = {"points": 48, "image_size": 48}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("colored") / "button-press.zarr"
    make_env = functools.partial(envs.make, TASK, **SMALL)
    return collect(make_env, path, episodes=1, seed=0, tail_steps=1).path


def _config(data, out, *overrides):
    return compose(
        "train",
        [
            *(f"task={TASK}", f"data={data}", f"out={out}", "policy=mp1_small"),
            *("policy.color=true", "policy.points=32", "network.widths=[16,16,16]"),
            *("encoder.widths=[16,16]", "training.steps=3", "training.batch_size=8"),
            *("logging.wandb=disabled", *overrides),
        ],
    )


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    return train(_config(dataset, tmp_path_factory.mktemp("run") / "colored")).run


def test_the_policy_acts_in_a_colored_simulation_as_its_runtime_does(dataset, run):
    make_env = functools.partial(environment_of(compose("eval", [str(run)])), horizon=7)
    service = EpisodeService(run, make_env)
    assert service.run(10_000).steps == 7
    env, policy = service.env, service.policy
    episode = open_dataset(dataset).episode(0)
    cloud = env.reset(seed=episode.seed)[0]["point_cloud"]
    assert env.observation_space["point_cloud"].contains(cloud)
    np.testing.assert_array_equal(cloud[:, :3], episode.point_cloud[0, :32])
    np.testing.assert_array_equal(cloud[:, 3:], episode.color[0, :32])
    assert len(np.unique(cloud[:, 3:], axis=0)) > 10  # a picture, not one shade
    frame = {name: value[None, None].repeat(2, 1) for name, value in env.observe().items()}
    noise = torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = policy.predict(frame, noise=noise)
    decide = policy.compile()
    np.testing.assert_allclose(decide(frame, noise=noise.numpy()), expected, rtol=0, atol=1e-5)
    service.close()


def test_the_run_says_what_it_sees(run):
    spec = load_policy(run).spec
    assert (spec.color, spec.points) == (True, 32)
    described = yaml.safe_load((run / "data.yaml").read_text())
    assert described["renderer"] in ("egl", "osmesa", "glfw", "raycast")
    assert "color" in described["values"]
    assert yaml.safe_load((run / "config.yaml").read_text())["policy"]["color"] is True


def test_an_environment_without_colors_is_refused(run):
    with pytest.raises(RunError, match="make the environment with color=True"):
        EpisodeService(run, functools.partial(envs.make, TASK, **SMALL))


def test_colors_of_another_kind_of_renderer_are_refused(run, tmp_path):
    other = tmp_path / "run"
    other.mkdir()
    for file in ("config.yaml", "model.safetensors"):
        (other / file).write_bytes((run / file).read_bytes())
    described = yaml.safe_load((run / "data.yaml").read_text())
    described["renderer"] = "egl" if described["renderer"] == "raycast" else "raycast"
    (other / "data.yaml").write_text(yaml.safe_dump(described))
    with pytest.raises(RunError, match="colors must be shown those of the renderer"):
        EpisodeService(other, environment_of(compose("eval", [str(other)])))


def test_other_colors_are_other_data(dataset, run, tmp_path):
    import shutil

    import zarr

    painted = shutil.copytree(dataset, tmp_path / "painted.zarr")
    color = zarr.open_group(painted)["data/color"]
    color[...] = 255 - np.asarray(color)
    with pytest.raises(RunError, match=r"data.yaml: values.color: "):
        train(_config(painted, run, "resume=true"))


def test_a_dataset_without_colors_is_refused(dataset, tmp_path):
    from mfpolicy.data import DatasetWriter

    colored = open_dataset(dataset)
    with DatasetWriter.open(tmp_path / "plain.zarr", colored.spec) as writer:
        writer.append(dataclasses.replace(colored.episode(0), color=None, extras={}))
    with pytest.raises(DataError, match="must store the colors"):
        train(_config(tmp_path / "plain.zarr", tmp_path / "run"))
    assert not (tmp_path / "run").exists()
