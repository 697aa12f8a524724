"""Datasets that may be one, and those that may not."""

from __future__ import annotations

import dataclasses

import pytest

from mfpolicy.data.editing import merge
from mfpolicy.data.store import DatasetWriter, open_dataset
from mfpolicy.errors import ConfigError, DataError
from mfpolicy.pointcloud import PointCloudRecipe


@pytest.fixture
def write(tmp_path, spec, make_episode):
    def write(name, *indices, change=lambda episode: episode, **notes):
        path = tmp_path / name
        with DatasetWriter.open(path, dataclasses.replace(spec, **notes)) as writer:
            for index in indices:
                writer.append(change(make_episode(index, 3)))
        return path

    return write


@pytest.mark.parametrize(
    ("note", "value"),
    [
        ("task", "toy/push"),
        ("control_rate_hz", 10.0),
        ("camera", {"image_size": 64}),
        ("recipe", PointCloudRecipe("top", (0, 0, 1), 32, (-1, -1, 0), (1, 1, 2), points=12)),
    ],
)
def test_datasets_that_were_made_differently_are_refused(write, tmp_path, note, value):
    one, other = write("a.zarr", 0), write("b.zarr", 1, **{note: value})
    with pytest.raises(DataError, match=f"differ in {note}: "):
        merge([one, other], tmp_path / "m.zarr")
    assert not (tmp_path / "m.zarr").exists()


@pytest.mark.parametrize("name", ["state_dim", "action_dim"])
def test_other_dimensions_are_refused(write, tmp_path, name):
    array = {"state_dim": "agent_pos", "action_dim": "action"}[name]

    def narrower(episode):
        return dataclasses.replace(episode, **{array: getattr(episode, array)[:, :1]})

    other = write("b.zarr", 1, change=narrower, **{name: 1})
    with pytest.raises(DataError, match=f"differ in {name}: "):
        merge([write("a.zarr", 0), other], tmp_path / "m.zarr")


def test_experts_may_differ_and_are_all_named(write, tmp_path):
    one, other = write("a.zarr", 0), write("b.zarr", 1, expert="human")
    spec = open_dataset(merge([one, other], tmp_path / "m.zarr").path).spec
    assert spec.expert == "scripted; human"


def test_what_datasets_note_differently_stays_with_its_source(write, tmp_path):
    one = write("a.zarr", 0, extra={"renderer": "egl", "robot": "arm"})
    other = write("b.zarr", 1, extra={"renderer": "raycast", "robot": "arm"})
    extra = open_dataset(merge([one, other], tmp_path / "m.zarr").path).spec.extra
    assert extra["robot"] == "arm"
    assert "renderer" not in extra
    notes = [source["notes"]["renderer"] for source in extra["edited"][0]["sources"]]
    assert notes == ["egl", "raycast"]


def test_other_arrays_are_refused_or_left_out(write, tmp_path):
    def bare(episode):
        return dataclasses.replace(episode, extras={})

    one, other = write("a.zarr", 0), write("b.zarr", 1, change=bare)
    with pytest.raises(DataError, match=r"same arrays.*full_state.*arrays=common"):
        merge([one, other], tmp_path / "m.zarr")
    merged = open_dataset(merge([one, other], tmp_path / "m.zarr", arrays="common").path)
    assert "full_state" not in merged.array_names
    assert "color" in merged.array_names


def test_an_episode_that_is_there_already_is_noticed(write, tmp_path):
    one, other = write("a.zarr", 0, 1), write("b.zarr", 2, 1)
    with pytest.raises(DataError, match=r"episode 1 of .*b\.zarr is episode 1 of .*a\.zarr"):
        merge([one, other], tmp_path / "m.zarr")
    skipped = merge([one, other], tmp_path / "skip.zarr", duplicates="skip")
    assert list(open_dataset(skipped.path).seeds) == [100, 101, 102]
    assert skipped.notes == {"left out": "1 episodes that were there already"}
    assert merge([one, other], tmp_path / "keep.zarr", duplicates="keep").episodes == 4


def test_an_equal_seed_alone_is_no_duplicate(write, tmp_path):
    def moved(episode):
        return dataclasses.replace(episode, action=episode.action / 2)

    one, other = write("a.zarr", 0), write("b.zarr", 0, change=moved)
    assert merge([one, other], tmp_path / "m.zarr").episodes == 2


def test_one_dataset_alone_is_no_merge(write, tmp_path):
    with pytest.raises(ConfigError, match="two datasets at least"):
        merge([write("a.zarr", 0)], tmp_path / "m.zarr")


def test_datasets_of_others_are_to_be_converted_first(write, tmp_path):
    import numpy as np
    import zarr

    root = zarr.open_group(str(tmp_path / "dp3.zarr"), mode="w", zarr_format=2)
    for name, shape in (("point_cloud", (4, 12, 6)), ("state", (4, 3)), ("action", (4, 2))):
        root.create_array(f"data/{name}", data=np.ones(shape, np.float32))
    root.create_array("meta/episode_ends", data=np.array([4]))
    with pytest.raises(DataError, match="convert it first: mfpolicy data convert"):
        merge([write("a.zarr", 0), tmp_path / "dp3.zarr"], tmp_path / "m.zarr")
