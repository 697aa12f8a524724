import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from mfpolicy.data.dataset import WindowDataset
from mfpolicy.data.frames import FrameReader
from mfpolicy.data.store import open_dataset
from mfpolicy.errors import ConfigError, DataError

SIZES = {"n_obs_steps": 2, "horizon": 4, "n_action_steps": 3}
FIELDS = ("point_cloud", "agent_pos", "action", "episode", "step")


@pytest.fixture
def ten(write_dataset):
    """Ten episodes whose ends share chunks with their neighbours."""
    return open_dataset(write_dataset(30, 70, 1, 99, 120, 5, 180, 2, 60, 33))


def assert_equal_batches(one, other):
    for name in FIELDS:
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=0)


def test_ten_episodes_are_ten_episodes(ten, make_episode):
    """Every step of every episode is some window's last observation, none is held out."""
    windows = WindowDataset(ten, **SIZES)
    assert (windows.episode_count, len(windows)) == (10, ten.step_count)
    batch = windows.batch(torch.arange(len(windows)))
    seen = set(zip(batch.episode.tolist(), batch.step.tolist(), strict=True))
    lengths = np.diff(ten.episode_ends, prepend=0)
    assert seen == {(e, s) for e in range(10) for s in range(lengths[e])}
    for e in range(10):
        episode, rows = make_episode(e, int(lengths[e])), batch.episode == e
        np.testing.assert_array_equal(batch.point_cloud[rows, -1], episode.point_cloud)
        np.testing.assert_array_equal(batch.agent_pos[rows, -1], episode.agent_pos)
        np.testing.assert_array_equal(batch.action[rows, 1], episode.action)


def test_shapes_and_types_of_a_batch(ten):
    batch = WindowDataset(ten, **SIZES, points=5).batch(torch.tensor([0, 599, 7]))
    assert batch.point_cloud.shape == (3, 2, 5, 3)
    assert batch.agent_pos.shape == (3, 2, 3)
    assert batch.action.shape == (3, 4, 2)
    types = {name: getattr(batch, name).dtype for name in FIELDS}
    assert set(types.values()) == {torch.float32, torch.int64}


@pytest.mark.parametrize("budget", [90_000, 4 << 30])
@pytest.mark.parametrize("episodes", [None, [4, 1]])
def test_frames_have_one_number_wherever_they_are(ten, episodes, budget):
    """Equal numbers, equal clouds and states; each chosen step is some frame, and one alone."""
    windows = WindowDataset(ten, **SIZES, episodes=episodes, memory_budget_bytes=budget)
    order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))
    batch = windows.batch(order)
    clouds, states = batch.point_cloud.flatten(0, 1), batch.agent_pos.flatten(0, 1)
    numbers = batch.frame.flatten()
    unique, place = torch.unique(numbers, return_inverse=True)
    assert len(unique) == len(windows) < len(numbers)
    first = torch.empty_like(unique)
    first[place] = torch.arange(len(place))
    assert torch.equal(clouds, clouds[first][place])
    assert torch.equal(states, states[first][place])
    assert len(torch.unique(clouds[first].flatten(1), dim=0)) == len(windows)


@pytest.mark.parametrize("points", [None, 5, 1])
@pytest.mark.parametrize("episodes", [None, [8, 0, 3]])
@pytest.mark.parametrize("budget", [100_000, 150_000, 4 << 30])
def test_streamed_and_loaded_batches_are_equal(ten, points, episodes, budget):
    options = {**SIZES, "points": points, "episodes": episodes}
    loaded = WindowDataset(ten, **options)
    streamed = WindowDataset(ten, **options, memory_budget_bytes=budget)
    assert not loaded.streamed
    assert streamed.streamed == (bytes_of(streamed) > budget)
    order = torch.randperm(len(loaded), generator=torch.Generator().manual_seed(0))
    for indices in order.split(64):
        assert_equal_batches(loaded.batch(indices), streamed.batch(indices))
        assert torch.equal(loaded.batch(indices).frame, streamed.batch(indices).frame)


def bytes_of(windows):
    per_step = 4 * (windows.points * 3 + windows.state_dim + windows.action_dim) + 8 * (6 + 2)
    return len(windows) * per_step


def test_streaming_happens_and_its_cache_is_bounded(ten):
    windows = WindowDataset(ten, **SIZES, memory_budget_bytes=90_000)
    assert windows.streamed
    for indices in torch.randperm(len(windows)).split(50):
        windows.batch(indices)
    cached = sum(chunk.nbytes for chunk in windows._stream._chunks.values())
    one_chunk = 100 * 12 * 12
    assert one_chunk <= cached <= max(one_chunk, 90_000)


def test_fewer_points_are_a_prefix_of_the_stored_clouds(ten):
    everything = torch.arange(600)
    full = WindowDataset(ten, **SIZES).batch(everything)
    prefix = WindowDataset(ten, **SIZES, points=4).batch(everything)
    torch.testing.assert_close(prefix.point_cloud, full.point_cloud[:, :, :4], rtol=0, atol=0)


def test_chosen_episodes_alone_in_their_order(ten):
    chosen = WindowDataset(ten, **SIZES, episodes=[4, 1])
    all_windows = WindowDataset(ten, **SIZES)
    starts = [0, *ten.episode_ends.tolist()]
    rows = torch.cat([torch.arange(starts[e], starts[e + 1]) for e in (4, 1)])
    assert (chosen.episode_count, len(chosen)) == (2, 190)
    assert_equal_batches(chosen.batch(torch.arange(190)), all_windows.batch(rows))
    assert set(chosen.batch(torch.arange(190)).episode.tolist()) == {1, 4}


@pytest.mark.parametrize("budget", [90_000, 4 << 30])
@pytest.mark.parametrize("episodes", [None, [6, 2]])
def test_arrays_hold_every_chosen_step_once_in_order(ten, budget, episodes):
    windows = WindowDataset(ten, **SIZES, episodes=episodes, memory_budget_bytes=budget)
    blocks = list(windows.arrays())
    batch = windows.batch(torch.arange(len(windows)))
    for name, expected in [
        ("point_cloud", batch.point_cloud[:, -1]),
        ("agent_pos", batch.agent_pos[:, -1]),
        ("action", batch.action[:, 1]),
    ]:
        whole = torch.cat([block[name] for block in blocks])
        torch.testing.assert_close(whole, expected, rtol=0, atol=0)


def test_rows_that_an_interrupted_writer_left_are_not_seen(tmp_path, spec, make_episode, ten):
    import zarr

    before = WindowDataset(ten, **SIZES).batch(torch.arange(600))
    for name in ten.array_names:
        array = zarr.open_array(str(ten.path), path=f"data/{name}", mode="r+")
        array.resize((777, *array.shape[1:]))
        array[600:] = 200
    windows = WindowDataset(open_dataset(ten.path), **SIZES)
    assert len(windows) == 600
    assert_equal_batches(windows.batch(torch.arange(600)), before)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"points": 13}, DataError, "12 that .* stores.*Received: 13"),
        ({"points": 0}, DataError, "points"),
        ({"episodes": []}, ConfigError, "at least one episode"),
        ({"episodes": [1, 1]}, ConfigError, "at most once"),
        ({"episodes": [10]}, DataError, "episodes 0 to 9"),
        ({"episodes": [-1]}, DataError, "episodes 0 to 9"),
        ({"horizon": 3}, ConfigError, "horizon"),
        ({"memory_budget_bytes": 1000}, DataError, "memory budget"),
    ],
)
def test_what_cannot_be_is_refused(ten, options, error, told):
    with pytest.raises(error, match=told):
        WindowDataset(ten, **{**SIZES, **options})


@pytest.mark.parametrize("indices", [[-1], [600], [3, 10**6]])
def test_windows_that_do_not_exist_are_refused(ten, indices):
    with pytest.raises(DataError, match="0 to 599"):
        WindowDataset(ten, **SIZES).batch(torch.tensor(indices))


@pytest.mark.parametrize("budget", [90_000, 4 << 30])
@pytest.mark.parametrize("episodes", [None, [4, 1]])
def test_other_windows_of_the_same_steps_are_those_of_a_dataset_of_their_own(ten, episodes, budget):
    options = {"episodes": episodes, "memory_budget_bytes": budget}
    longer = {"n_obs_steps": 1, "horizon": 8, "n_action_steps": 7}
    short = WindowDataset(ten, **SIZES, **options)
    long = short.rewindowed(**longer)
    order = torch.arange(len(short))
    assert_equal_batches(long.batch(order), WindowDataset(ten, **longer, **options).batch(order))
    assert_equal_batches(short.batch(order), WindowDataset(ten, **SIZES, **options).batch(order))
    assert long._state is short._state
    assert (long._stream is short._stream) if short.streamed else (long._clouds is short._clouds)
    with pytest.raises(ConfigError, match="horizon must reach"):
        short.rewindowed(n_obs_steps=2, horizon=4, n_action_steps=4)


def test_threads_stream_from_one_cache(ten, monkeypatch):
    """Chunks come and go under each other's hands, so one thread at a time may fetch them."""
    streamed = WindowDataset(ten, **SIZES, memory_budget_bytes=90_000)
    loaded = WindowDataset(ten, **SIZES)
    assert streamed.streamed
    clouds, free, crowds = FrameReader.clouds, threading.Lock(), []

    def slow(self, start, stop):
        alone = free.acquire(blocking=False)
        time.sleep(0.002)
        crowds.append(not alone)
        if alone:
            free.release()
        return clouds(self, start, stop)

    monkeypatch.setattr(FrameReader, "clouds", slow)
    rows = torch.randperm(len(loaded), generator=torch.Generator().manual_seed(0)).split(100)
    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(streamed.batch, rows))
    assert crowds
    assert not any(crowds)
    for indices, batch in zip(rows, batches, strict=True):
        assert_equal_batches(loaded.batch(indices), batch)
