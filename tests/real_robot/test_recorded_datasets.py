"""What a recorder leaves on the disk, live or from bags: sound, continued, and fit for a policy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml

from data.converting.bags import BagWriter
from mfpolicy.data.checking.check import check_dataset
from mfpolicy.data.dataset import WindowDataset
from mfpolicy.data.store import open_dataset
from mfpolicy.errors import DataError
from oracles.demonstrated import BOX, POSE, Demonstrated, parameters, recording, settings
from oracles.robot_arm import LIMITS, PERIOD_S, RATE_HZ, wall
from real_robot.core import Controller, InlineDecider, PolicyFacts
from real_robot.core.perception import pose_matrix
from real_robot.recording import DatasetStore
from real_robot.replay.recorder import main


def _demonstrate(store, steps=30):
    mine = Demonstrated(store=store, record={"points": 32}, **POSE)
    rng = np.random.default_rng(store.episodes)
    for step in range(steps):
        mine.position = np.array([np.sin(step / 9 + store.episodes), np.cos(step / 7)]) / 2
        mine.joints()
        mine.cloud(wall(200, depth_m=1 + 0.2 * np.sin(step / 5) + rng.uniform(0, 0.01)))
        mine.command(mine.position + 0.01 * np.sin(step / 3))
        if step == 0:
            assert mine.recorder.start(mine.now_s).ok
        mine.tick()
    assert mine.recorder.stop(mine.now_s).ok, mine.recorder.reply


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A dataset of two episodes, the second recorded by another recorder than the first."""
    out = tmp_path_factory.mktemp("recorded") / "mine.zarr"
    for _ in range(2):
        store = _store(out)
        _demonstrate(store)
        store.close()
    return out


def _store(out, **changes) -> DatasetStore:
    record = recording(out=str(out), points=32, task="table/push", demonstrator="hand")
    return DatasetStore(parameters(**{**POSE, **changes}), settings(), record)


def test_a_recording_is_a_sound_dataset(recorded):
    report = check_dataset(recorded)
    assert [each.code for each in report.findings] == []
    dataset = open_dataset(recorded)
    assert dataset.spec.control_rate_hz == RATE_HZ
    assert (dataset.spec.task, dataset.spec.expert) == ("table/push", "hand")
    assert dataset.episode_count == 2
    episode = dataset.episode(1)
    assert episode.point_cloud.shape == (29, 32, 3)
    np.testing.assert_allclose(np.diff(episode.extras["timestamp_ns"]) * 1e-9, PERIOD_S)


def test_windows_for_training_are_made_of_it(recorded):
    windows = WindowDataset(
        open_dataset(recorded), n_obs_steps=2, horizon=4, n_action_steps=3, points=16
    )
    batch = windows.batch(torch.arange(len(windows)))
    assert batch.point_cloud.shape == (58, 2, 16, 3)
    assert batch.action.shape == (58, 4, 2)


def test_a_policy_that_is_trained_on_it_runs_on_the_robot_that_it_was_recorded_on(recorded):
    spec = open_dataset(recorded).spec
    facts = PolicyFacts.of(
        {
            "recipe": spec.recipe.to_dict(), "n_obs_steps": 2, "n_action_steps": 2,
            "state_dim": spec.state_dim, "action_dim": spec.action_dim, "point_dim": 3,
            "control_rate_hz": spec.control_rate_hz,
        }
    )  # fmt: skip
    decider = InlineDecider(lambda seen: np.zeros((1, 2, 2)))
    controller = Controller(parameters(**POSE), facts, decider)
    assert controller.rate_hz == RATE_HZ
    assert facts.crop_max == tuple(BOX["crop_max"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"action_kind": "joint_displacement"}, "continued as it began"),
        ({"state": ["velocity/a", "velocity/b"]}, "continued as it began"),
        ({"rate_hz": 20.0}, "control_rate_hz"),
        ({"camera_position": [0.0, 0.0, 0.3]}, "camera"),
    ],
)
def test_what_means_something_else_is_not_appended(recorded, changes, words):
    with pytest.raises(DataError, match=words):
        _store(recorded, **changes)
    _store(recorded).close()


def test_with_poses_from_tf_points_are_in_the_world_and_the_dataset_has_no_pose(tmp_path):
    out, pose = tmp_path / "tf.zarr", pose_matrix([0.0, 0.0, 0.5], [0.0, 0.0, 0.0, 1.0])
    record = recording(out=str(out), points=32)
    store = DatasetStore(parameters(), settings(use_tf=True), record)
    mine = Demonstrated(store=store, node={"use_tf": True}, record={"points": 32})
    for step in range(4):
        mine.joints()
        mine.command((0.0, 0.0))
        mine.recorder.on_cloud(
            wall(), frame_id="camera", stamp_s=mine.now_s, now_s=mine.now_s, T_world_cam=pose
        )
        if step == 0:
            assert mine.recorder.start(mine.now_s).ok
        mine.tick()
    assert mine.recorder.stop(mine.now_s).ok
    store.close()
    assert check_dataset(out).errors == 0
    dataset = open_dataset(out)
    assert dataset.spec.camera is None
    assert dataset.spec.extra["recorder"]["use_tf"] is True
    np.testing.assert_allclose(dataset.episode(0).point_cloud[..., 2], 1.5, atol=1e-6)
    with pytest.raises(DataError, match="camera: None there"):
        DatasetStore(parameters(), settings(), record)


def test_the_recipe_names_the_camera_as_simulated_ones_are_named(recorded):
    spec = open_dataset(recorded).spec
    w, x, y, z = spec.recipe.camera_orientation
    looks = -np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
    np.testing.assert_allclose(looks, np.array(spec.camera["T_world_cam"])[:3, 2], atol=1e-9)


def _bag(path, *, seconds=2.0, silent_s=(9.0, 9.0)):
    """Joints at 50 Hz, commands at 25 Hz, a wall at 10 Hz; no commands within ``silent_s``."""
    bag = BagWriter(path, "mcap")
    rng = np.random.default_rng(1)
    for step in range(int(seconds * 50)):
        time_s = 100 + step / 50
        bag.joints("/joint_states", time_s, [0.2 + step / 500, 0.1, 5.0])  # of b, a, c
        if step % 2 == 0 and not silent_s[0] <= step / 50 < silent_s[1]:
            bag.command("/leader", time_s, [0.1, 0.2 + (step + 5) / 500])
        if step % 5 == 0:
            xyz = rng.uniform(-0.9, 0.9, (80, 3))
            xyz[:, 2] = 1.0
            bag.cloud("/cloud", time_s, xyz, np.zeros((80, 3), int))
    bag.close()


def test_bags_become_episodes_by_the_same_code(tmp_path, capsys):
    (tmp_path / "bags").mkdir()
    for name, changes in {"a": {}, "b": {"silent_s": (0.8, 1.9)}, "c": {"seconds": 3.0}}.items():
        _bag(tmp_path / "bags" / name, **changes)
    told = {
        "joints": ["a", "b"], "cloud_frame": "camera", "cloud_topic": "/cloud", "rate_hz": 10.0,
        "camera_position": [0.0, 0.0, 0.0],
        "command_topic": "/commands", "action_topic": "/leader", "points": 64, **LIMITS, **BOX,
        "action_type": "float64_multi_array", "use_sim_time": True,
    }  # fmt: skip
    file = tmp_path / "recorder.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": told}}))
    words = [f"bag={tmp_path / 'bags'}", f"parameters={file}", f"out={tmp_path / 'mine.zarr'}"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "b: discarded: stale_command" in said
    dataset = open_dataset(tmp_path / "mine.zarr")
    assert dataset.episode_count == 2
    assert check_dataset(tmp_path / "mine.zarr").errors == 0
    for episode in map(dataset.episode, range(2)):
        assert len(episode) > 15
        time_s = episode.extras["timestamp_ns"] * 1e-9 - 100
        ended_s, seen_s = time_s + PERIOD_S, time_s - episode.extras["cloud_age_s"]
        # of b: the command of 25 Hz at the step's end, and where the joint was at the cloud's stamp
        np.testing.assert_allclose(episode.action[:, 1], 0.21 + ended_s / 10, atol=5e-3)
        np.testing.assert_allclose(episode.agent_pos[:, 1], 0.2 + seen_s / 10, atol=1e-3)
    assert main(words) == 0
    again = capsys.readouterr().out
    assert ("a: there already" in again, "c: there already" in again) == (True, True)
    assert open_dataset(tmp_path / "mine.zarr").episode_count == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [(["bag=b"], "parameters"), (["bag"], "key=value"), (["bag=b", "parameters=p"], "YAML")],
)
def test_words_that_do_not_fit_are_told(words, said, capsys):
    assert main(words) == 2
    assert said in capsys.readouterr().err
