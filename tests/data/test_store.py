import _thread
import dataclasses
import errno
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from mfpolicy.data import durable
from mfpolicy.data.store import DatasetSpec, DatasetWriter, open_dataset
from mfpolicy.errors import DataError
from mfpolicy.pointcloud import PointCloudRecipe


def test_episodes_come_back_as_they_were_written(write_dataset, make_episode, same_episode):
    lengths = [1, 99, 100, 101, 250]
    dataset = open_dataset(write_dataset(*lengths))
    assert dataset.episode_ends.tolist() == np.cumsum(lengths).tolist()
    assert dataset.step_count == sum(lengths)
    assert dataset.seeds.tolist() == [100, 101, 102, 103, 104]
    for index, length in enumerate(lengths):
        same_episode(dataset.episode(index), make_episode(index, length))


def test_specification_comes_back_with_the_versions_of_the_packages(write_dataset, spec):
    stored = open_dataset(write_dataset(5)).spec
    assert dataclasses.replace(stored, extra={}) == spec
    (packages,) = stored.extra["packages"]
    assert packages["first_episode"] == 0
    assert {"numpy", "zarr"} <= set(packages["versions"])


def test_arrays_lie_on_disk_as_documented(write_dataset):
    dataset = open_dataset(write_dataset(120))
    assert dataset.zarr_format == 3
    shapes = {name: (dataset.array(name).dtype.name, dataset.array(name).shape)
              for name in dataset.array_names}  # fmt: skip
    assert shapes == {
        "point_cloud": ("float32", (120, 12, 3)),
        "color": ("uint8", (120, 12, 3)),
        "state": ("float32", (120, 3)),
        "action": ("float32", (120, 2)),
        "full_state": ("float64", (120, 5)),
    }
    assert dataset.array("point_cloud").chunks == (100, 12, 3)
    meta = sorted(folder.name for folder in (dataset.path / "meta").iterdir() if folder.is_dir())
    assert meta == ["episode_ends", "episode_length", "episode_seed", "episode_success"]


def test_reopening_appends_behind_what_is_there(tmp_path, write_dataset, spec, make_episode):
    at_once = write_dataset(30, 90, 7, name="at-once.zarr")
    for index, length in enumerate([30, 90, 7]):
        with DatasetWriter.open(tmp_path / "one-by-one.zarr", spec) as writer:
            assert writer.episode_count == index
            writer.append(make_episode(index, length))
    files = [
        {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}
        for root in (at_once, tmp_path / "one-by-one.zarr")
    ]
    assert files[0] == files[1]


def test_resume_false_refuses_what_is_there(write_dataset, spec):
    path = write_dataset(5)
    with pytest.raises(DataError, match="path of its own"):
        DatasetWriter.open(path, spec, resume=False)
    assert open_dataset(path).episode_count == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"task": "toy/push"}, "'toy/reach' there, 'toy/push' now"),
        ({"control_rate_hz": 10.0}, "20.0 there, 10.0 now"),
        ({"camera": {"image_size": 64}}, "camera"),
        ({"state_dim": 4}, "state_dim: 3 there, 4 now"),
        (
            {"recipe": PointCloudRecipe("top", (0, 0, 2), 32, (-1, -1, 0), (1, 1, 1), points=12)},
            "recipe",
        ),
    ],
)
def test_episodes_of_another_make_are_refused_with_both_values(write_dataset, spec, change, told):
    path = write_dataset(5)
    with pytest.raises(DataError, match=told):
        DatasetWriter.open(path, dataclasses.replace(spec, **change))


def test_specification_that_contradicts_its_recipe_is_refused(spec):
    with pytest.raises(DataError, match="recipe says 12"):
        dataclasses.replace(spec, points=13)


def _nan_at_step_3(episode):
    action = episode.action.copy()
    action[3, 1] = np.nan
    return {"action": action}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda e: {"action": e.action[:, :1]}, "'action' of the episode must have shape"),
        (lambda e: {"agent_pos": e.agent_pos[:-1]}, "'state' of the episode must have shape"),
        (lambda e: {"point_cloud": e.point_cloud[:, :5]}, "'point_cloud' of the episode"),
        (_nan_at_step_3, "'action' of the episode must be finite.*step 3"),
        (lambda e: {"agent_pos": e.agent_pos.astype(np.float64) * 1e300}, "must be finite"),
        (lambda e: {"color": e.color.astype(np.float32)}, "color must be uint8"),
        (lambda e: {"color": None}, "must have the arrays of the first"),
        (lambda e: {"extras": {}}, "must have the arrays of the first"),
        (lambda e: {"extras": {"state": e.agent_pos}}, "free identifier"),
        (lambda e: {"extras": {"../../x": e.agent_pos}}, "free identifier"),
        (lambda e: {"extras": {"note": np.array(["a"] * len(e))}}, "numbers or booleans"),
        (lambda e: {"seed": None}, "seed"),
        (lambda e: {"action": e.action[:0], "agent_pos": e.agent_pos[:0]}, "at least one step"),
    ],
)
def test_episode_that_does_not_fit_is_refused_and_the_rest_stays(
    write_dataset, spec, make_episode, change, told
):
    path = write_dataset(20, 30)
    episode = make_episode(2, 25)
    with DatasetWriter.open(path, spec) as writer:
        with pytest.raises(DataError, match=told):
            writer.append(dataclasses.replace(episode, **change(episode)))
        writer.append(episode)
    assert open_dataset(path).episode_ends.tolist() == [20, 50, 75]


def test_every_file_is_flushed_before_it_replaces_the_old_one(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda fd: flushed.append(os.fstat(fd).st_size))
    file = tmp_path / "folder" / "file"
    durable.write_durably(file, b"old")
    monkeypatch.setattr(os, "fsync", lambda fd: flushed.append(file.read_bytes()))
    durable.write_durably(file, b"newer")
    assert flushed == [3, b"old"]
    assert file.read_bytes() == b"newer"
    assert list(file.parent.iterdir()) == [file]


def test_second_writer_is_refused_until_the_first_is_done(write_dataset, spec, tmp_path):
    path = write_dataset(5)
    (tmp_path / "link.zarr").symlink_to(path)
    with DatasetWriter.open(path, spec):
        for name in (path, tmp_path / "link.zarr"):
            with pytest.raises(DataError, match="only one process may write"):
                DatasetWriter.open(name, spec)
    with DatasetWriter.open(path, spec) as writer:
        assert writer.episode_count == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link.zarr", "toy.zarr"]


def test_lock_of_another_process_ends_with_that_process(write_dataset, spec, tmp_path):
    path = write_dataset(5)
    code = (
        "import sys, time; from pathlib import Path; from mfpolicy.data.durable import WriterLock;"
        "lock = WriterLock(Path(sys.argv[1])); print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(DataError, match=f"process {other.pid}"):
            DatasetWriter.open(path, spec)
        other.kill()
    assert (tmp_path / ".toy.zarr.lock").exists()  # left behind, but no longer locked
    with DatasetWriter.open(path, spec) as writer:
        assert writer.episode_count == 1


@pytest.mark.parametrize("writes_before_full", range(0, 20, 2))
def test_full_disk_is_told_and_finished_episodes_stay(
    write_dataset, spec, make_episode, same_episode, monkeypatch, writes_before_full
):
    path = write_dataset(60, 70)
    original, left = durable.write_durably, writes_before_full

    def write(file, content):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(file, content)

    with DatasetWriter.open(path, spec) as writer:
        monkeypatch.setattr(durable, "write_durably", write)
        with pytest.raises(DataError, match="No space left on device.*finished episodes are kept"):
            writer.append(make_episode(2, 180))
        finished = writer.episode_count
        full = open_dataset(path)
        assert full.episode_count == finished
        same_episode(full.episode(1), make_episode(1, 70))
        monkeypatch.undo()
        writer.append(make_episode(finished, 90))  # room again: the same writer goes on
    after = open_dataset(path)
    assert after.episode_count == finished + 1
    same_episode(after.episode(1), make_episode(1, 70))
    same_episode(after.episode(finished), make_episode(finished, 90))


def test_ctrl_c_during_an_append_waits_for_the_episode(
    write_dataset, spec, make_episode, same_episode, monkeypatch
):
    path = write_dataset(10)
    original = durable.write_durably

    def slow_commit(file, content):
        if file == path / "zarr.json":
            _thread.interrupt_main()
            time.sleep(0.2)
        original(file, content)

    monkeypatch.setattr(durable, "write_durably", slow_commit)
    with pytest.raises(KeyboardInterrupt), DatasetWriter.open(path, spec) as writer:
        writer.append(make_episode(1, 20))
    dataset = open_dataset(path)
    assert dataset.episode_ends.tolist() == [10, 30]
    same_episode(dataset.episode(1), make_episode(1, 20))


def test_journal_is_committed_with_and_without_an_episode(write_dataset, spec, make_episode):
    path = write_dataset(10)
    with DatasetWriter.open(path, spec) as writer:
        writer.record({"failed": [7]})
        assert open_dataset(path).journal == {"failed": [7]}
        writer.append(make_episode(1, 5), journal={"failed": [7, 9]})
        writer.append(make_episode(2, 5))
    assert open_dataset(path).journal == {"failed": [7, 9]}


def test_reading_while_a_writer_appends_sees_only_finished_episodes(
    write_dataset, spec, make_episode, monkeypatch
):
    path = write_dataset(10)
    counts, original = set(), durable.write_durably

    def write(file, content):
        counts.add(open_dataset(path).episode_count)
        original(file, content)
        counts.add(open_dataset(path).episode_count)

    with DatasetWriter.open(path, spec) as writer:
        monkeypatch.setattr(durable, "write_durably", write)
        writer.append(make_episode(1, 150))
    assert counts == {1, 2}


@pytest.mark.parametrize("create", [False, True])
def test_writer_refuses_what_is_not_its_dataset(tmp_path, spec, create):
    folder = tmp_path / "thesis"
    folder.mkdir()
    if create:
        (folder / "chapter.txt").write_text("precious")
        with pytest.raises(DataError, match="zarr group"):
            DatasetWriter.open(folder, spec)
        assert (folder / "chapter.txt").read_text() == "precious"
    else:  # an empty folder is a place to write to
        with DatasetWriter.open(folder, spec) as writer:
            assert writer.episode_count == 0


def test_nothing_heavy_is_imported_before_it_is_used():
    code = (
        "import sys, mfpolicy.data, mfpolicy.data.store, mfpolicy.data.collect;"
        "heavy = {'zarr', 'torch', 'mujoco', 'hydra', 'rich'} & set(sys.modules);"
        "assert not heavy, heavy; assert mfpolicy.data.DatasetSpec; "
        "assert not hasattr(mfpolicy.data, 'nothing')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_notes_that_are_not_json_are_refused():
    with pytest.raises(DataError, match="JSON"):
        DatasetSpec("toy/x", 20.0, None, None, {"intrinsics": np.eye(3)}, 1, 1, 1)
