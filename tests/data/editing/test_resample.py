"""Fewer points, fewer steps: what becomes of clouds, observations and actions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mfpolicy.data.editing import RateChange, resample
from mfpolicy.data.editing.rate import action_rules, whole_factor
from mfpolicy.data.store import DatasetWriter, open_dataset
from mfpolicy.errors import ConfigError, DataError
from mfpolicy.pointcloud import sample


def test_a_prefix_is_the_cloud_of_the_recipe_with_fewer_points(write_dataset, tmp_path):
    source = open_dataset(write_dataset(4))
    found = open_dataset(resample(source.path, tmp_path / "r.zarr", points=5).path)
    assert (found.spec.points, found.spec.recipe.points) == (5, 5)
    before, after = source.episode(0), found.episode(0)
    np.testing.assert_array_equal(after.point_cloud, before.point_cloud[:, :5])
    np.testing.assert_array_equal(after.color, before.color[:, :5])
    np.testing.assert_array_equal(after.action, before.action)


def test_sampling_anew_keeps_every_point_with_its_color(write_dataset, tmp_path):
    source = open_dataset(write_dataset(3))
    path = resample(source.path, tmp_path / "r.zarr", points=5, method="fps").path
    before, after = source.episode(0), open_dataset(path).episode(0)
    for step in range(3):
        np.testing.assert_array_equal(after.point_cloud[step], sample(before.point_cloud[step], 5))
        for point, color in zip(after.point_cloud[step], after.color[step], strict=True):
            (row,) = np.flatnonzero((before.point_cloud[step] == point).all(axis=1))
            np.testing.assert_array_equal(color, before.color[step][row])


def test_the_observations_are_those_of_the_kept_steps(write_dataset, tmp_path):
    source = open_dataset(write_dataset(7, 4))
    report = resample(source.path, tmp_path / "r.zarr", rate_hz=20 / 3, actions="last")
    found = open_dataset(report.path)
    assert found.spec.control_rate_hz == pytest.approx(20 / 3)
    assert list(found.episode_ends) == [3, 5]
    for index in range(2):
        before, after = source.episode(index), found.episode(index)
        assert (after.seed, after.success) == (before.seed, before.success)
        np.testing.assert_array_equal(after.point_cloud, before.point_cloud[::3])
        np.testing.assert_array_equal(after.agent_pos, before.agent_pos[::3])
        np.testing.assert_array_equal(after.color, before.color[::3])
        np.testing.assert_array_equal(after.extras["full_state"], before.extras["full_state"][::3])
        last = np.minimum(np.arange(0, len(before), 3) + 2, len(before) - 1)
        np.testing.assert_array_equal(after.action, before.action[last])


@pytest.mark.parametrize("factor", [2, 3, 7])
def test_displacements_add_up_to_the_same_way(factor):
    steps = np.random.default_rng(0).normal(size=(10, 2)).astype(np.float32)
    change = RateChange(factor, ("sum", "sum"))
    whole = np.concatenate([[[0, 0]], steps.cumsum(axis=0, dtype=np.float64)])
    found = change.actions(steps).cumsum(axis=0, dtype=np.float64)
    ends = np.minimum(np.arange(factor, factor * len(found) + 1, factor), 10)
    np.testing.assert_allclose(found, whole[ends], atol=1e-6)


@pytest.mark.parametrize("factor", [2, 4])
def test_held_means_lead_to_the_same_way(factor):
    steps = np.random.default_rng(1).normal(size=(8, 1)).astype(np.float32)
    held = RateChange(factor, ("mean",)).actions(steps).repeat(factor, axis=0)
    np.testing.assert_allclose(held.sum(axis=0), steps.sum(axis=0), rtol=1e-5)


def test_each_dimension_follows_its_kind():
    kinds = ("displacement", "position", "effort")
    assert action_rules("auto", kinds, 3) == ("sum", "last", "mean")
    assert action_rules("first,sum,last", kinds, 3) == ("first", "sum", "last")
    found = RateChange(2, ("sum", "last", "mean")).actions(np.array([[1.0, 1, 1], [2, 2, 2]]))
    assert found.tolist() == [[3.0, 2.0, 1.5]]


@pytest.mark.parametrize(
    ("actions", "kinds"),
    [("auto", ()), ("sum,last,sum", ()), ("total", ()), ("auto,sum", ("effort", "effort"))],
)
def test_what_actions_become_must_be_known(actions, kinds):
    with pytest.raises(ConfigError):
        action_rules(actions, kinds, 2)


def test_an_action_beyond_the_limit_is_refused_unless_asked_for(tmp_path, spec, make_episode):
    episode = make_episode(0, 4)
    action = np.array([[0.4, 0], [0.4, 0], [0.9, 0], [-0.2, -0.7]], np.float32)
    with DatasetWriter.open(tmp_path / "a.zarr", spec) as writer:
        writer.append(dataclasses.replace(episode, action=action))

    def resampled(name, **options):
        path = tmp_path / name
        return resample(
            tmp_path / "a.zarr", path, factor=2, actions="sum", limit=0.75, **options
        )  # fmt: skip

    with pytest.raises(DataError, match=r"1 of 2 steps exceed it, most of all 0\.8 in dimension 0"):
        resampled("r.zarr")
    assert not (tmp_path / "r.zarr").exists()
    clipped = resampled("c.zarr", beyond="clip")
    assert clipped.notes["beyond the limit"] == "1 of 2 steps, clipped"
    assert open_dataset(clipped.path).episode(0).action[0, 0] == np.float32(0.75)
    kept = resampled("k.zarr", beyond="keep")
    assert open_dataset(kept.path).episode(0).action[0, 0] == pytest.approx(0.8)


@pytest.mark.parametrize("target", [20.0, 30.0, 9.0, 40.0, 1e9])
def test_only_whole_multiples_of_a_rate_are_taken(target):
    with pytest.raises(ConfigError, match="over a whole number"):
        whole_factor(20.0, target)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "resample needs points"),
        ({"points": 13}, "the 12 that are stored"),
        ({"factor": 1, "actions": "sum"}, "factor must be at least 2"),
        ({"factor": 2, "rate_hz": 10.0, "actions": "sum"}, "not both"),
        ({"factor": 2}, "which is not known"),
        ({"points": 3, "method": "random"}, "method must be one of"),
        ({"factor": 2, "actions": "sum", "beyond": "wrap"}, "beyond must be one of"),
    ],
)
def test_what_cannot_be_is_refused(write_dataset, tmp_path, options, match):
    with pytest.raises(ConfigError, match=match):
        resample(write_dataset(3), tmp_path / "r.zarr", **options)
    assert not (tmp_path / "r.zarr").exists()
