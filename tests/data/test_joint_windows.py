"""Windows of several datasets as one: the same rows, and numbers that tell the datasets apart."""

import pytest
import torch

from mfpolicy.data import Normalizer, WindowDataset, open_dataset
from mfpolicy.data.joint import JointWindows
from mfpolicy.errors import DataError
from oracles.demonstrations import write_dataset

TASKS = ("metaworld/drawer-open", "metaworld/button-press", "metaworld/door-open")
SIZES = {"n_obs_steps": 2, "horizon": 4, "n_action_steps": 3}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    windows = {}
    for number, task in enumerate(TASKS):
        path = write_dataset(
            folder / f"{number}.zarr", episodes=number + 2, first_seed=10 * number, task=task
        )
        windows[task] = WindowDataset(open_dataset(path), **SIZES)
    return windows


def test_rows_are_those_of_the_datasets_in_the_order_that_was_asked_for(parts):
    joint = JointWindows(parts)
    assert len(joint) == sum(len(part) for part in parts.values()) == 180
    order = torch.randperm(180, generator=torch.Generator().manual_seed(0))
    batch = joint.batch(order)
    starts = [0, 40, 100]
    for row, index in enumerate(order.tolist()):
        task = int(batch.task[row])
        own = parts[TASKS[task]].batch(torch.tensor([index - starts[task]]))
        for name in ("point_cloud", "agent_pos", "action", "step"):
            assert getattr(batch, name)[row].equal(getattr(own, name)[0])


def test_no_episode_and_no_frame_of_two_datasets_has_one_number(parts):
    joint = JointWindows(parts)
    batch = joint.batch(torch.arange(180))
    for name in ("episode", "frame"):
        numbers = getattr(batch, name)
        seen = [set(numbers[batch.task == task].flatten().tolist()) for task in range(3)]
        assert len(set().union(*seen)) == sum(map(len, seen))
    assert len(batch.frame.unique()) == 180
    assert len(batch.episode.unique()) == 2 + 3 + 4


def test_the_order_of_the_tasks_changes_their_numbers_and_nothing_else(parts):
    turned = JointWindows({task: parts[task] for task in reversed(TASKS)})
    one = JointWindows(parts).batch(torch.arange(40))
    other = turned.batch(torch.arange(140, 180))
    assert one.task.unique().tolist() == [0]
    assert other.task.unique().tolist() == [2]
    assert one.point_cloud.equal(other.point_cloud)
    assert one.action.equal(other.action)


def test_the_normaliser_is_that_of_all_datasets_together(parts):
    joint = Normalizer.fit(JointWindows(parts))
    blocks = [block for part in parts.values() for block in part.arrays()]
    for name in ("point_cloud", "agent_pos", "action"):
        values = torch.cat([block[name].flatten(0, -2) for block in blocks])
        scaled = getattr(joint, name)(values)
        low, high = scaled.aminmax(dim=0)
        torch.testing.assert_close(low, torch.full_like(low, -1), atol=1e-5, rtol=0)
        torch.testing.assert_close(high, torch.full_like(high, 1), atol=1e-5, rtol=0)


def test_streamed_clouds_are_those_in_memory(parts):
    streamed = {
        task: WindowDataset(part.dataset, **SIZES, memory_budget_bytes=12_000)
        for task, part in parts.items()
    }
    assert all(part.streamed for part in streamed.values())
    rows = torch.tensor([179, 3, 60, 3])
    one, other = JointWindows(streamed).batch(rows), JointWindows(parts).batch(rows)
    assert one.point_cloud.equal(other.point_cloud)
    assert one.frame.equal(other.frame)


@pytest.mark.parametrize("rows", [[-1, 3], [3, 180]])
def test_a_row_that_there_is_not_is_refused(parts, rows):
    with pytest.raises(DataError, match="from 0 to 179"):
        JointWindows(parts).batch(torch.tensor(rows))


def test_windows_of_other_sizes_are_refused_by_name(parts, tmp_path):
    wide = write_dataset(tmp_path / "wide.zarr", task="metaworld/push", action_dim=6)
    other = WindowDataset(open_dataset(wide), **SIZES)
    with pytest.raises(DataError, match="the same action_dim.*'metaworld/push': 6"):
        JointWindows({**parts, "metaworld/push": other})
