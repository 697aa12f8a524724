"""Clouds from stored depth are the clouds that the simulator gave; nothing else is accepted."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

import envs
from mfpolicy import cli
from mfpolicy.data.collect import collect
from mfpolicy.data.editing import recompute, resample, subset
from mfpolicy.data.store import DatasetWriter, open_dataset
from mfpolicy.errors import DataError

pytestmark = pytest.mark.render
POINTS = 128


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """A short real recording with its depth and color images."""
    path = tmp_path_factory.mktemp("real") / "reach.zarr"
    make = functools.partial(envs.make, "metaworld/reach", image_size=48, points=POINTS)
    collect(make, path, episodes=1, seed=0, tail_steps=1, store_images=True)
    return path


def test_the_same_recipe_gives_the_same_bits(collected, tmp_path, same_episode):
    report = recompute(collected, tmp_path / "r.zarr")
    before, after = open_dataset(collected), open_dataset(report.path)
    same_episode(before.episode(0), after.episode(0))
    assert before.spec.differences(after.spec) == {}
    assert report.notes == {"clouds against depth": "the same points"}


def test_fewer_points_are_the_prefix_and_more_begin_with_it(collected, tmp_path):
    fewer = open_dataset(recompute(collected, tmp_path / "f.zarr", points=32).path)
    prefix = open_dataset(resample(collected, tmp_path / "p.zarr", points=32).path)
    assert fewer.spec.differences(prefix.spec) == {}
    np.testing.assert_array_equal(fewer.read_points(0, 9), prefix.read_points(0, 9))
    more = open_dataset(recompute(collected, tmp_path / "m.zarr", points=2 * POINTS).path)
    np.testing.assert_array_equal(
        more.read_points(0, 9, POINTS), open_dataset(collected).read_points(0, 9)
    )


def test_another_box_gives_the_cloud_of_an_environment_with_that_box(collected, tmp_path):
    box = (0.55, 1.15, 0.2)
    found = open_dataset(recompute(collected, tmp_path / "low.zarr", crop_max=box).path)
    assert found.spec.recipe.crop_max == box
    env = envs.make("metaworld/reach", image_size=48, points=POINTS, crop_max=box)
    try:
        env.reset(seed=0)
        seen = env.observe_full()
    finally:
        env.close()
    episode = found.episode(0)
    np.testing.assert_array_equal(episode.point_cloud[0], seen["point_cloud"])
    np.testing.assert_array_equal(episode.color[0], seen["color"])


def test_an_empty_box_names_episode_and_step(collected, tmp_path):
    with pytest.raises(DataError, match="step 0 of episode 0: .* one point inside the crop box"):
        recompute(collected, tmp_path / "r.zarr", crop_min=(0, 0.5, 0.8), crop_max=(0.1, 0.6, 0.9))


def test_pixels_without_depth_are_left_out(collected, tmp_path):
    dataset = open_dataset(collected)
    episode = dataset.episode(0)
    holes = {**episode.extras, "depth": episode.extras["depth"].copy()}
    holes["depth"][:, ::2] = 0
    with DatasetWriter.open(tmp_path / "holes.zarr", dataset.spec) as writer:
        writer.append(dataclasses.replace(episode, extras=holes))
    camera = np.array(dataset.spec.camera["T_world_cam"])[:3, 3]
    around = {"crop_min": tuple(camera - 2), "crop_max": tuple(camera + 2)}
    path = recompute(tmp_path / "holes.zarr", tmp_path / "r.zarr", trust=True, **around).path
    cloud = open_dataset(path).read_points(0, 5)
    assert np.linalg.norm(cloud - camera, axis=-1).min() > 0.05


def _in_millimetres(episode):
    return {**episode.extras, "depth": episode.extras["depth"] * 1000}


def _upside_down(episode):
    return {**episode.extras, "depth": episode.extras["depth"][:, ::-1]}


def _integers(episode):
    return {**episode.extras, "depth": (episode.extras["depth"] * 1000).astype(np.uint16)}


def _small_image(episode):
    return {**episode.extras, "image": episode.extras["image"][:, ::2]}


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (_in_millimetres, r"made of the stored depth.*beside it"),
        (_upside_down, r"made of the stored depth.*beside it"),
        (_integers, "floating point, in metres"),
        (_small_image, "as large as data/depth"),
    ],
)
def test_depth_that_the_clouds_are_not_made_of_is_refused(collected, tmp_path, damage, match):
    dataset = open_dataset(collected)
    episode = dataset.episode(0)
    with DatasetWriter.open(tmp_path / "bad.zarr", dataset.spec) as writer:
        writer.append(dataclasses.replace(episode, extras=damage(episode)))
    with pytest.raises(DataError, match=match):
        recompute(tmp_path / "bad.zarr", tmp_path / "r.zarr")
    assert not (tmp_path / "r.zarr").exists()


@pytest.mark.parametrize(
    ("arrays", "match"),
    [("color,image", "recompute needs the array data/depth"), ("color,depth", "needs data/image")],
)
def test_what_is_missing_is_named(collected, tmp_path, arrays, match):
    less = subset(collected, tmp_path / "less.zarr", arrays=arrays).path
    with pytest.raises(DataError, match=match):
        recompute(less, tmp_path / "r.zarr")


@pytest.mark.parametrize(
    ("notes", "match"),
    [
        ({"recipe": None}, "needs the recipe"),
        ({"camera": {"intrinsics": [[1]]}}, "needs intrinsics"),
        ({"camera": {"intrinsics": "x", "T_world_cam": []}}, "needs intrinsics"),
    ],
)
def test_a_camera_that_is_not_known_is_refused(collected, tmp_path, notes, match):
    dataset = open_dataset(collected)
    spec = dataclasses.replace(dataset.spec, **notes)
    with DatasetWriter.open(tmp_path / "bad.zarr", spec) as writer:
        writer.append(dataset.episode(0))
    with pytest.raises(DataError, match=match):
        recompute(tmp_path / "bad.zarr", tmp_path / "r.zarr")


def test_the_commands_do_what_they_say(collected, tmp_path, capsys):
    out, half = str(tmp_path / "low.zarr"), str(tmp_path / "half.zarr")
    assert cli.main(["data", "recompute", str(collected), f"out={out}",
                     "crop_max=[0.55,1.15,0.2]"]) == 0  # fmt: skip
    assert "the same points" in capsys.readouterr().out
    assert cli.main(["data", "resample", str(collected), f"out={half}", "factor=2"]) == 2
    assert "actions=mean" in capsys.readouterr().err
    words = ["data", "resample", str(collected), f"out={half}", "factor=2", "actions=mean"]
    assert cli.main(words) == 0
    assert open_dataset(half).spec.control_rate_hz == 40
    parts = tmp_path / "parts"
    assert cli.main(["data", "split", str(collected), f"out={parts}", "parts=only:rest"]) == 0
    words = ["data", "merge", f"{parts}/only.zarr", half, f"out={tmp_path}/m.zarr"]
    assert cli.main(words) == 2
    assert "control_rate_hz: 80.0 and 40.0" in capsys.readouterr().err
    words[3] = str(collected)
    assert cli.main([*words, "duplicates=skip"]) == 0
    assert cli.main(["data", "subset", out, f"out={tmp_path}/s.zarr", "arrays=none"]) == 0
    assert open_dataset(tmp_path / "s.zarr").array_names == ["action", "point_cloud", "state"]
