"""Datasets of ours become datasets of DP3, exactly and whole, and come back."""

import dataclasses
import errno

import numpy as np
import pytest
import zarr

from data.converting.recordings import dp3_cloud, write_dp3
from envs.suites import suite_of
from mfpolicy.cli import main
from mfpolicy.data import DatasetWriter, open_dataset
from mfpolicy.data.converting import Target, convert, export
from mfpolicy.data.converting.dp3_frame import TASKS, from_world_frame, to_world_frame
from mfpolicy.data.converting.to_dp3 import Dp3Export
from mfpolicy.errors import DataError


@pytest.mark.parametrize("task", TASKS)
def test_the_frame_change_is_undone_exactly(task):
    recipe = dataclasses.replace(suite_of(task).recipes[task], image_size=84)
    theirs = dp3_cloud(np.random.default_rng(0).uniform(0.3, 2.0, (84, 84)), task)
    back = from_world_frame(to_world_frame(theirs, task, recipe), task, recipe)
    np.testing.assert_allclose(back, theirs, atol=1e-12)


def _door(tmp_path):
    drawn = np.random.default_rng(0)
    seen = dp3_cloud(drawn.uniform(0.5, 1.5, (84, 84)), "adroit/door")
    clouds = np.stack([seen[drawn.permutation(len(seen))[:64]] for _ in range(12)])
    colors = drawn.integers(0, 256, clouds.shape)
    arrays = {
        "depth": drawn.uniform(0, 2, (12, 84, 84)).astype(np.float32),
        "state": drawn.normal(size=(12, 24)).astype(np.float32),
        "action": drawn.uniform(-1, 1, (12, 28)).astype(np.float32),
        "point_cloud": np.concatenate([clouds, colors], axis=2).astype(np.float32),
    }
    return write_dp3(tmp_path / "adroit_door_expert.zarr", arrays, [7, 12]), arrays


def test_dp3s_dataset_comes_back_as_it_was(tmp_path, capsys):
    source, arrays = _door(tmp_path)
    ours, back = tmp_path / "ours.zarr", tmp_path / "adroit_door_again.zarr"
    assert main(["data", "convert", str(source), f"out={ours}"]) == 0
    assert main(["data", "convert", str(ours), f"out={back}", "to=dp3"]) == 0
    assert "2 of 2 episodes, 12 steps" in capsys.readouterr().out
    root = zarr.open_group(str(back), mode="r", zarr_format=2)
    assert sorted(root["data"].array_keys()) == sorted(arrays)
    assert root["meta/episode_ends"][:].tolist() == [7, 12]
    for name, there in arrays.items():
        found = root[f"data/{name}"][:]
        assert (found.dtype, found.shape) == (there.dtype, there.shape)
        if name != "point_cloud":
            np.testing.assert_array_equal(found, there)
    assert root["data/point_cloud"].chunks == (100, 64, 6)
    for one, other in zip(root["data/point_cloud"][:], arrays["point_cloud"], strict=True):
        order, wanted = np.lexsort(one[:, ::-1].T.round(3)), np.lexsort(other[:, ::-1].T.round(3))
        np.testing.assert_allclose(one[order], other[wanted], atol=2e-6)
    # A second way there and back changes nothing any more but the last bits of a rotation.
    convert(back, tmp_path / "again.zarr", _target())
    first, second = open_dataset(ours).episode(1), open_dataset(tmp_path / "again.zarr").episode(1)
    np.testing.assert_allclose(first.point_cloud, second.point_cloud, atol=2e-6)
    np.testing.assert_array_equal(first.color, second.color)


def _target():
    suite = suite_of("adroit/door")
    return Target(suite.tasks["adroit/door"], suite.recipes["adroit/door"])


def test_other_clouds_keep_their_frame_and_failures_stay_behind(tmp_path, spec, make_episode):
    path = tmp_path / "toy.zarr"
    with DatasetWriter.open(path, spec) as writer:
        for index, length in enumerate((5, 4, 6)):
            failed = dataclasses.replace(make_episode(index, length), success=index != 1)
            writer.append(failed)
    report = export(path, tmp_path / "out.zarr", to="dp3", points=8)
    assert (report.episodes, report.kept, report.steps, report.succeeded) == (3, 2, 11, 2)
    there = open_dataset(tmp_path / "out.zarr")
    assert there.zarr_format == 2
    assert there.episode_ends.tolist() == [5, 11]
    wanted = make_episode(2, 6)
    found = there.episode(1)
    np.testing.assert_array_equal(found.point_cloud, wanted.point_cloud[:, :8])
    np.testing.assert_array_equal(found.color, wanted.color[:, :8])
    np.testing.assert_array_equal(found.extras["full_state"], wanted.extras["full_state"])
    assert there.attributes["mfpolicy"]["frame"] == "as in the source"
    assert export(path, tmp_path / "all.zarr", to="dp3", keep="all").kept == 3


def test_an_interrupted_export_goes_on_and_is_the_same(tmp_path, write_dataset, monkeypatch):
    path, out, whole = write_dataset(5, 4, 6), tmp_path / "out.zarr", tmp_path / "whole.zarr"
    export(path, whole, to="dp3")
    finished = Dp3Export.append

    def interrupted(self, episode):
        finished(self, episode)
        if self.done == 2:
            self._root["data/state"].resize((12, 3))  # as if the third had begun
            self._root["meta/episode_ends"].resize((3,))
            raise KeyboardInterrupt

    monkeypatch.setattr(Dp3Export, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(path, out, to="dp3")
    assert not out.exists()
    monkeypatch.setattr(Dp3Export, "append", finished)
    with pytest.raises(DataError, match="continued as it began"):
        export(path, out, to="dp3", store_extras=False)
    done = []
    export(path, out, to="dp3", progress=lambda *counts: done.append(counts))
    assert done == [(3, 3, 3)]

    def files(root):
        return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}

    assert files(out) == files(whole)
    assert export(path, out, to="dp3").kept == 3  # left as it is
    with pytest.raises(DataError, match="path of its own"):
        export(write_dataset(5, 4, name="b.zarr"), out, to="dp3")


def test_an_export_whose_first_write_failed_goes_on(tmp_path, write_dataset, monkeypatch):
    def full(file, content):
        file.parent.mkdir(parents=True)
        raise OSError(errno.ENOSPC, "No space left on device")

    path, out = write_dataset(5), tmp_path / "out.zarr"
    with monkeypatch.context() as patch:
        patch.setattr("mfpolicy.data.durable.write_durably", full)
        with pytest.raises(DataError, match="No space left"):
            export(path, out, to="dp3")
    assert export(path, out, to="dp3").kept == 1


def test_other_clouds_of_the_same_actions_are_another_source(tmp_path, write_dataset):
    path, out = write_dataset(5), tmp_path / "out.zarr"
    export(path, out, to="dp3")
    clouds = zarr.open_group(str(path), mode="r+")["data/point_cloud"]
    clouds[0] = clouds[0] + 1
    with pytest.raises(DataError, match="path of its own"):
        export(path, out, to="dp3")
    convert(out, tmp_path / "back.zarr", Target())
    theirs = zarr.open_group(str(out), mode="r+", zarr_format=2)["data/point_cloud"]
    theirs[0] = theirs[0] + 1
    with pytest.raises(DataError, match="(?s).*sha256"):
        convert(out, tmp_path / "back.zarr", Target())


@pytest.mark.parametrize("where", [".", "data/x", ".."])
def test_a_source_is_never_written_to(where, tmp_path, write_dataset):
    path = write_dataset(5)
    with pytest.raises(DataError, match="must lie apart"):
        export(path, path / where, to="dp3")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["to=dp"], "mfpolicy, dp3"),
        (["to=dp3", "points=13"], "12 points"),
        (["to=dp3", "task=adroit/door"], "leave task out"),
        (["to=dp3", "layout=x.yaml"], "leave layout out"),
    ],
)
def test_a_mistake_is_told(words, message, tmp_path, write_dataset, capsys):
    assert main(["data", "convert", str(write_dataset(5)), f"out={tmp_path}/o", *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
