"""Colors from the store to batches: the same from memory and streamed, or a clear refusal."""

import numpy as np
import pytest
import torch
import zarr

from mfpolicy.data import Normalizer, WindowDataset, open_dataset
from mfpolicy.errors import DataError
from mfpolicy.training.shared_windows import SharedWindows

SIZES = {"n_obs_steps": 2, "horizon": 4, "n_action_steps": 3}


@pytest.mark.parametrize("points", [None, 5])
def test_a_batch_has_the_color_of_each_point_behind_its_coordinates(write_dataset, points):
    dataset = open_dataset(write_dataset(30, 70, 1))
    plain = WindowDataset(dataset, **SIZES, points=points)
    loaded = WindowDataset(dataset, **SIZES, points=points, color=True)
    streamed = WindowDataset(
        dataset, **SIZES, points=points, color=True, memory_budget_bytes=15_000
    )
    assert (loaded.point_dim, loaded.streamed, streamed.streamed) == (6, False, True)
    rows = torch.arange(len(loaded))
    cloud = loaded.batch(rows).point_cloud
    assert torch.equal(cloud, streamed.batch(rows).point_cloud)
    assert torch.equal(cloud[..., :3], plain.batch(rows).point_cloud)
    colors = np.concatenate([dataset.episode(index).color for index in range(3)])
    np.testing.assert_array_equal(cloud[:, -1, :, 3:], colors[:, :points])


def test_colors_of_the_dp3_family_lie_in_its_clouds(tmp_path):
    random = np.random.default_rng(0)
    clouds = random.uniform(-1, 1, (8, 5, 6)).astype(np.float32)
    clouds[..., 3:] = random.integers(0, 256, (8, 5, 3))
    root = zarr.open_group(tmp_path / "theirs.zarr", mode="w", zarr_format=2)
    arrays = {
        "data/point_cloud": clouds,
        "data/state": np.zeros((8, 9), np.float32),
        "data/action": np.zeros((8, 4), np.float32),
        "meta/episode_ends": np.array([8]),
    }
    for name, values in arrays.items():
        root.create_array(name, shape=values.shape, dtype=values.dtype)[...] = values
    windows = WindowDataset(open_dataset(tmp_path / "theirs.zarr"), **SIZES, points=4, color=True)
    np.testing.assert_array_equal(windows.batch(torch.arange(8)).point_cloud[:, -1], clouds[:, :4])


def test_the_normaliser_maps_all_of_8_bits_whatever_the_data_show(write_dataset):
    path = write_dataset(30, 70)
    color = zarr.open_group(path)["data/color"]
    color[...] = np.asarray(color) // 4 + 50
    normalizer = Normalizer.fit(WindowDataset(open_dataset(path), **SIZES, color=True)).point_cloud
    bounds = torch.tensor([[0.0], [127.5], [255.0]]).repeat(1, 6)
    assert normalizer(bounds)[:, 3:].tolist() == [[-1.0] * 3, [0.0] * 3, [1.0] * 3]
    plain = Normalizer.fit(WindowDataset(open_dataset(path), **SIZES)).point_cloud
    assert torch.equal(normalizer.scale[:3], plain.scale)
    assert torch.equal(normalizer.offset[:3], plain.offset)


def test_a_dataset_without_colors_is_refused(write_dataset, spec, make_episode, tmp_path):
    from dataclasses import replace

    from mfpolicy.data import DatasetWriter

    with DatasetWriter.open(tmp_path / "plain.zarr", spec) as writer:
        writer.append(replace(make_episode(0, 9), color=None))
    dataset = open_dataset(tmp_path / "plain.zarr")
    assert not dataset.has_color
    assert dataset.episode(0).color is None
    with pytest.raises(DataError, match=r"must store the colors.*store_extras=true"):
        WindowDataset(dataset, **SIZES, color=True)


def test_colors_of_another_type_or_number_are_refused(write_dataset):
    path = write_dataset(9)
    group = zarr.open_group(path)["data"]
    for shape, dtype in (((9, 12, 3), np.float32), ((9, 11, 3), np.uint8)):
        group.create_array("color", shape=shape, dtype=dtype, chunks=shape, overwrite=True)[...] = 1
        with pytest.raises(DataError, match=r"must be uint8 of shape \(N, 12, 3\)"):
            WindowDataset(open_dataset(path), **SIZES, color=True)


def test_runs_with_and_without_color_do_not_share_their_steps(write_dataset):
    load, dataset = SharedWindows(), open_dataset(write_dataset(9))
    plain, colored, again = (load(dataset, **SIZES, color=c) for c in (False, True, True))
    assert (plain.point_dim, colored.point_dim) == (3, 6)
    assert again._clouds is colored._clouds
