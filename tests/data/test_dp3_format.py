"""Datasets of the DP3 family (zarr format 2) are read as they are."""

import numpy as np
import pytest
import torch
import zarr
from numcodecs import Blosc

from mfpolicy.data.dataset import WindowDataset
from mfpolicy.data.normalizer import Normalizer
from mfpolicy.data.store import DatasetSpec, DatasetWriter, open_dataset
from mfpolicy.errors import DataError

LENGTHS = (130, 70)


def _layout(rng, points, channels):
    steps = sum(LENGTHS)
    cloud = rng.uniform(-1, 1, (steps, points, channels)).astype(np.float32)
    cloud[..., 3:] = rng.integers(0, 256, cloud[..., 3:].shape)
    return {
        "img": rng.integers(0, 256, (steps, 8, 8, 3)).astype(np.uint8),
        "state": rng.normal(size=(steps, 9)).astype(np.float32),
        "full_state": rng.normal(size=(steps, 39)).astype(np.float32),
        "point_cloud": cloud,
        "depth": rng.uniform(0, 2, (steps, 8, 8)).astype(np.float32),
        "action": rng.uniform(-1, 1, (steps, 4)).astype(np.float32),
    }


@pytest.fixture
def dp3(tmp_path):
    """Returns a function that writes the layout of DP3's generators: path, arrays."""

    def write(points=1024, channels=6, **changes):
        path = tmp_path / "metaworld_drawer-open_expert.zarr"
        arrays = {**_layout(np.random.default_rng(0), points, channels), **changes}
        root = zarr.create_group(str(path), zarr_format=2, overwrite=True)
        compressor = Blosc(cname="zstd", clevel=3, shuffle=1)
        for name, values in arrays.items():
            array = root.create_array(
                f"data/{name}", shape=values.shape, dtype=values.dtype,
                chunks=(100, *values.shape[1:]), compressors=compressor,
            )  # fmt: skip
            array[...] = values
        ends = np.cumsum(LENGTHS)
        meta = root.create_array(
            "meta/episode_ends", shape=ends.shape, dtype="int64", compressors=compressor
        )
        meta[...] = ends
        for attributes in path.rglob(".zattrs"):  # DP3 writes none
            attributes.unlink()
        return path, arrays

    return write


@pytest.mark.parametrize(("points", "channels"), [(1024, 6), (512, 6), (512, 3)])
def test_windows_of_a_dp3_dataset(dp3, points, channels):
    path, arrays = dp3(points, channels)
    dataset = open_dataset(path)
    assert dataset.zarr_format == 2
    assert (dataset.spec.points, dataset.spec.state_dim, dataset.spec.action_dim) == (points, 9, 4)
    assert (dataset.spec.task, dataset.spec.recipe, dataset.seeds) == (None, None, None)
    windows = WindowDataset(dataset, n_obs_steps=2, horizon=4, n_action_steps=3, points=256)
    batch = windows.batch(torch.arange(len(windows)))
    assert len(windows) == 200
    clouds = torch.from_numpy(arrays["point_cloud"][:, :256, :3])
    torch.testing.assert_close(batch.point_cloud[:, -1], clouds, rtol=0, atol=0)
    state, action = torch.from_numpy(arrays["state"]), torch.from_numpy(arrays["action"])
    torch.testing.assert_close(batch.agent_pos[:, -1], state, rtol=0, atol=0)
    torch.testing.assert_close(batch.action[:, 1], action, rtol=0, atol=0)
    fitted = Normalizer.fit(windows).point_cloud(clouds)
    assert fitted.shape == (200, 256, 3)
    assert float(fitted.min()) == pytest.approx(-1, abs=1e-5)


def test_an_episode_has_colors_and_the_other_arrays(dp3):
    path, arrays = dp3()
    episode = open_dataset(path).episode(1)
    np.testing.assert_array_equal(episode.point_cloud, arrays["point_cloud"][130:, :, :3])
    np.testing.assert_array_equal(episode.color, arrays["point_cloud"][130:, :, 3:])
    assert sorted(episode.extras) == ["depth", "full_state", "img"]
    np.testing.assert_array_equal(episode.extras["img"], arrays["img"][130:])
    assert (episode.seed, episode.success) == (None, None)


def test_a_dp3_dataset_can_be_written_anew_in_our_format(dp3, tmp_path):
    path, _ = dp3(64)
    old = open_dataset(path)
    spec = DatasetSpec("metaworld/drawer-open", 80.0, "scripted", None, None, 9, 4, 64)
    with DatasetWriter.open(tmp_path / "new.zarr", spec) as writer:
        for index in range(old.episode_count):
            episode = old.episode(index)
            known = {"seed": index, "success": True}
            writer.append(type(episode)(**{**episode.__dict__, **known}))
    new = open_dataset(tmp_path / "new.zarr")
    options = {"n_obs_steps": 2, "horizon": 4, "n_action_steps": 3}
    everything = torch.arange(200)
    one, other = (WindowDataset(d, **options).batch(everything) for d in (old, new))
    for name in ("point_cloud", "agent_pos", "action", "episode", "step"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=0)


def test_states_stored_as_float64_train_as_float32(dp3):
    path, arrays = dp3(64)
    values = arrays["state"].astype(np.float64)
    path, _ = dp3(64, state=values)
    windows = WindowDataset(open_dataset(path), n_obs_steps=1, horizon=1, n_action_steps=1)
    assert windows.batch(torch.arange(3)).agent_pos.dtype == torch.float32


def test_chunks_of_zeros_that_were_never_stored_are_zeros_except_in_clouds(dp3):
    path, _ = dp3(64, action=np.zeros((200, 4), np.float32))
    assert not (path / "data/action/0.0").exists()
    windows = WindowDataset(open_dataset(path), n_obs_steps=2, horizon=4, n_action_steps=3)
    assert not windows.batch(torch.arange(200)).action.any()
    (path / "data/point_cloud/1.0.0").unlink()
    with pytest.raises(DataError, match=r"'data/point_cloud'.*chunk 1 \(steps 100 to 199\)"):
        open_dataset(path)


@pytest.mark.parametrize("keep", [0, 12, 0.3, 0.999])
def test_a_truncated_chunk_never_reaches_the_decoder(dp3, keep):
    path, _ = dp3(64)
    chunk = path / "data/point_cloud/1.0.0"
    content = chunk.read_bytes()
    chunk.write_bytes(content[: int(keep if keep > 1 else keep * len(content))])
    with pytest.raises(DataError, match=r"'data/point_cloud'.*chunk 1 \(steps 100 to 199\)"):
        open_dataset(path)


def test_arrays_of_unequal_length_are_refused(dp3):
    path, _ = dp3(64, full_state=np.zeros((150, 39), np.float32) + 1)
    with pytest.raises(DataError, match="'data/full_state' has 150 steps"):
        open_dataset(path)


def test_episode_ends_beyond_the_data_are_refused(dp3):
    path, _ = dp3(64)
    zarr.open_array(str(path), path="meta/episode_ends", mode="r+")[...] = [130, 201]
    with pytest.raises(DataError, match="last end 201, 200 steps"):
        open_dataset(path)


def test_a_dp3_dataset_is_never_written_to(dp3):
    path, _ = dp3(64)
    spec = DatasetSpec(None, None, None, None, None, 9, 4, 64)
    with pytest.raises(DataError, match="only datasets that mfpolicy wrote"):
        DatasetWriter.open(path, spec)
