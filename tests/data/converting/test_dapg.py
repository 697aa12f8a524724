"""DAPG's demonstrations, replayed: the same states, honest counts, resumable, nothing executed."""

import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import envs
from data.converting.recordings import record_door, write_demos
from mfpolicy.cli import main
from mfpolicy.data import open_dataset
from mfpolicy.data.converting import Target, convert, guess_format
from mfpolicy.data.converting.dapg import DapgSource
from mfpolicy.data.converting.replay import held_actions
from mfpolicy.data.reader import open_even_if_empty
from mfpolicy.errors import DataError

pytestmark = pytest.mark.render


@pytest.fixture(scope="module")
def paths():
    return [record_door(1), record_door(2, steps=21, still=True), record_door(3)]


def _target():
    spec = envs.spec("adroit/door")
    recipe = envs.suites.suite_of("adroit/door").recipes["adroit/door"]
    return Target(spec, recipe, lambda: envs.make("adroit/door"), store_extras=True)


def test_a_replay_goes_through_the_recorded_states(paths, tmp_path, capsys):
    source = write_demos(tmp_path / "door-v0_demos.pickle", paths)
    words = ["data", "convert", str(source), f"out={tmp_path}/all.zarr", "keep=all"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "2 of 3 (67%)" in told
    assert "3 episodes" in told
    dataset = open_dataset(tmp_path / "all.zarr")
    assert dataset.spec.task == "adroit/door"
    assert dataset.spec.extra["converted"]["format"] == "dapg"
    assert dataset.spec.extra["renderer"] in ("egl", "osmesa", "raycast")
    assert np.diff(dataset.episode_ends, prepend=0).tolist() == [100, 11, 100]
    assert dataset.success.tolist() == [True, False, True]
    assert dataset.seeds.tolist() == [0, 1, 2]
    for index, path in enumerate(paths):
        episode = dataset.episode(index)
        recorded = path["observations"][::2]
        # Held for two steps by the recording expert, so held by the replay: the same motion.
        np.testing.assert_allclose(episode.extras["full_state"], recorded, atol=2e-3)
        np.testing.assert_allclose(episode.action, path["actions"][::2], atol=1e-6)
        assert episode.point_cloud.std() > 0.05


def test_only_successes_are_kept_unless_asked(paths, tmp_path):
    source = write_demos(tmp_path / "demos.pickle", [path for path in paths[1:]])
    report = convert(source, tmp_path / "kept.zarr", _target())
    assert (report.episodes, report.succeeded, report.kept) == (2, 1, 1)
    assert open_dataset(tmp_path / "kept.zarr").seeds.tolist() == [1]
    assert convert(source, tmp_path / "kept.zarr", _target()).kept == 1
    with pytest.raises(DataError, match="as it began"):
        convert(source, tmp_path / "kept.zarr", _target(), keep="all")
    source = write_demos(tmp_path / "none.pickle", paths[1:2])
    with pytest.raises(DataError, match="none of 1 counts as a success"):
        convert(source, tmp_path / "none.zarr", _target())


def test_a_conversion_killed_at_any_moment_goes_on_to_the_same_dataset(paths, tmp_path):
    short = [{**path, "actions": path["actions"][:20]} for path in paths * 4]
    source = write_demos(tmp_path / "door-v0_demos.pickle", short)
    whole, broken = tmp_path / "whole.zarr", tmp_path / "broken.zarr"
    words = [str(source), "keep=all", "store_extras=false"]
    assert main(["data", "convert", *words, f"out={whole}"]) == 0
    command = [sys.executable, "-m", "mfpolicy", "data", "convert", *words, f"out={broken}"]
    seen = []
    for least in (2, 5):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while process.poll() is None and _kept(broken) < least:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        seen.append(_kept(broken))
    assert 2 <= seen[0] <= seen[1] < 12
    assert main(["data", "convert", *words, f"out={broken}"]) == 0
    one, other = open_dataset(whole), open_dataset(broken)
    assert other.episode_count == 12
    for index in range(12):
        mine, theirs = one.episode(index), other.episode(index)
        for name in ("point_cloud", "agent_pos", "action"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))


def _kept(path):
    try:
        return open_even_if_empty(path).episode_count
    except DataError:
        return 0


def test_pairs_of_actions_become_their_mean():
    actions = np.array([[0.0, 2.0], [1.0, 4.0], [-3.0, 0.5]])
    assert held_actions(actions, 2).tolist() == [[0.5, 1.0], [-1.0, 0.5]]
    assert held_actions(actions, 1).tolist() == [[0.0, 1.0], [1.0, 1.0], [-1.0, 0.5]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": np.zeros((4, 27))}, "28 dimensions"),
        ({"actions": np.full((4, 28), np.nan)}, "finite actions"),
        ({"actions": np.zeros((0, 28))}, "finite actions"),
        ({"actions": "none"}, "array of numbers"),
        ({"actions": np.zeros((4, 28), complex)}, "plain numbers"),
        ({"actions": np.array([{}])}, "plain numbers"),
        ({"init_state_dict": {}}, "30 finite numbers qpos"),
        ({"init_state_dict": 1}, "init_state_dict"),
    ],
)
def test_a_recording_that_is_none_is_refused(change, message, paths, tmp_path):
    source = write_demos(tmp_path / "door-v0_demos.pickle", [{**paths[0], **change}])
    with pytest.raises(DataError, match=message):
        convert(source, tmp_path / "o.zarr", _target())


class _Runs:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("place", ["list", "actions", "state", "unused"])
def test_a_hostile_recording_executes_nothing(place, paths, tmp_path, capsys):
    marker = tmp_path / "executed"
    gadget = _Runs(marker)
    path = {
        "list": gadget,
        "actions": {**paths[0], "actions": gadget},
        "state": {**paths[0], "init_state_dict": {"qpos": gadget}},
        "unused": {**paths[0], "rewards": gadget},
    }[place]
    source = write_demos(tmp_path / "door-v0_demos.pickle", [path])
    assert main(["data", "convert", str(source), f"out={tmp_path}/o.zarr"]) == 2
    assert "posix.system" in capsys.readouterr().err
    assert not marker.exists()
    assert not (tmp_path / "o.zarr").exists()
    pickle.loads(source.read_bytes())
    assert marker.exists()


def test_what_is_no_pickle_or_cut_is_refused(paths, tmp_path):
    whole = pickle.dumps(paths[1:2], protocol=3)
    source = tmp_path / "door.pickle"
    for share in (0.01, 0.5, 0.99):
        source.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError):
            DapgSource(source, _target())
    source.write_bytes(b"episodes\n")
    with pytest.raises(DataError, match="looks like none"):
        guess_format(source)
    for content in ({"a": 1}, [], [1], 7):
        source.write_bytes(pickle.dumps(content))
        with pytest.raises(DataError, match="list of recordings"):
            DapgSource(source, _target())


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_is_read(protocol, paths, tmp_path):
    source = write_demos(tmp_path / "demos.pickle", paths[1:2], protocol)
    opened = DapgSource(source, _target())
    np.testing.assert_array_equal(opened._actions(opened._paths[0], 0), paths[1]["actions"])
    opened.close()
