"""Minari's files of Adroit: rendered from every stored state, or replayed from the stored start."""

import json

import h5py
import numpy as np
import pytest

import envs
from data.converting.recordings import record_door
from envs.suites import suite_of
from mfpolicy.cli import main
from mfpolicy.data import open_dataset
from mfpolicy.data.converting import Target, convert
from mfpolicy.data.converting.hdf5 import Hdf5File
from mfpolicy.data.converting.minari import MinariSource
from mfpolicy.errors import ConfigError, DataError

STEPS = 20


@pytest.fixture(scope="module")
def recorded():
    """A path of the door in plain gymnasium-robotics, with the state before every action."""
    return record_door(3, steps=STEPS, states=True)


def _write(folder, path, *, states):
    """As Minari's storage writes it, infos as texts of JSON."""
    (folder / "data").mkdir(parents=True)
    spec = json.dumps({"id": "AdroitHandDoor-v1"})
    notes = {"dataset_id": "D4RL/door/human-v2", "env_spec": spec}
    (folder / "data/metadata.json").write_text(json.dumps(notes))
    with h5py.File(folder / "data/main_data.hdf5", "w") as file:
        for number in range(2):
            group = file.create_group(f"episode_{number}")
            group.attrs["id"], group.attrs["total_steps"] = number, STEPS
            group["actions"] = path["actions"].astype(np.float32)
            group["observations"] = path["observations"]
            group["rewards"] = path["rewards"]
            infos = [json.dumps({"success": number == 1}) for _ in range(STEPS + 1)]
            group.create_dataset("infos", data=infos, dtype=h5py.string_dtype())
            for name, value in path["init_state_dict"].items():
                group.attrs[f"options/initial_state_dict/{name}"] = value
            if states:
                for name in ("qpos", "qvel", "door_body_pos"):
                    group[f"state/{name}"] = np.stack([state[name] for state in path["states"]])
    return folder


@pytest.mark.render
def test_every_stored_state_is_rendered_as_it_was(recorded, tmp_path, capsys):
    source, out = _write(tmp_path / "door", recorded, states=True), tmp_path / "o.zarr"
    line = [str(source), f"out={out}", "points=64", "keep=all"]
    assert main(["data", "convert", *line]) == 0
    assert "adroit/door" in capsys.readouterr().out
    found = open_dataset(out)
    assert (found.spec.task, found.spec.control_rate_hz) == ("adroit/door", 50)
    assert found.success.tolist() == [False, True]
    assert found.spec.extra["converted"]["clouds"] == "states as recorded"
    env = envs.make("adroit/door", points=64)
    env.restore(recorded["states"][6])
    episode = found.episode(0)
    np.testing.assert_array_equal(episode.point_cloud[3], env.observe()["point_cloud"])
    env.close()
    np.testing.assert_array_equal(episode.agent_pos[3], recorded["states"][6]["qpos"][4:28]
                                  .astype(np.float32))  # fmt: skip
    mean = recorded["actions"][6:8].mean(axis=0).clip(-1, 1).astype(np.float32)
    np.testing.assert_allclose(episode.action[3], mean, atol=1e-6)
    assert len(episode) == STEPS // 2


@pytest.mark.parametrize(
    ("kind", "count", "wanted"),
    [("array", 4, [0, 1, 0, 1]), ("array", 5, [1, 0, 1, 0]), ("array", 3, None),
     ("text", 5, [1, 0, 1, 0]), ("text", 0, [1] * 4), ("text of x", 5, [1] * 4), ("text", 6, None)],
)  # fmt: skip
def test_flags_are_one_for_each_action_or_none(kind, count, wanted, tmp_path):
    flags = [number % 2 == 1 for number in range(count)]
    with h5py.File(tmp_path / "main_data.hdf5", "w") as file:
        if kind != "array":
            name = "x" if kind == "text of x" else "success"
            texts = [json.dumps({name: flag}) for flag in flags]
            file.create_dataset("episode_0/infos", data=texts, dtype=h5py.string_dtype(),
                                shape=(count,))  # fmt: skip
        else:
            file["episode_0/infos/success"] = flags
    source = MinariSource.__new__(MinariSource)  # reading flags needs no simulation
    source._file = Hdf5File(tmp_path / "main_data.hdf5")
    if wanted is None:
        with pytest.raises(DataError, match=f"success after each of 4 actions.*{count}"):
            source._successes("episode_0", 4)
    else:
        assert source._successes("episode_0", 4) == wanted
    source._file.close()


@pytest.mark.render
def test_a_stored_start_is_replayed(recorded, tmp_path):
    source = _write(tmp_path / "door", recorded, states=False)
    suite = suite_of("adroit/door")
    target = Target(
        suite.tasks["adroit/door"], suite.recipes["adroit/door"],
        lambda: envs.make("adroit/door"), store_extras=False,
    )  # fmt: skip
    report = convert(source, tmp_path / "o.zarr", target, keep="all")
    assert (report.format, report.kept, report.steps) == ("minari", 2, STEPS)
    dataset = open_dataset(tmp_path / "o.zarr")
    assert dataset.spec.extra["converted"]["success"] == "of the replay"
    found = dataset.episode(0)
    # The expert acts at 50 Hz, so the replay is the recording.
    there = recorded["states"][10]["qpos"][4:28].astype(np.float32)
    np.testing.assert_allclose(found.agent_pos[5], there, atol=1e-5)


def test_what_cannot_be_rendered_is_refused(recorded, tmp_path):
    source = _write(tmp_path / "door", recorded, states=False)
    with pytest.raises(ConfigError, match="do not say their task"):
        convert(source, tmp_path / "o.zarr", Target())
    suite = suite_of("adroit/door")

    def target(task):
        return Target(suite.tasks[task], suite.recipes[task], lambda: None)

    with h5py.File(source / "data/main_data.hdf5", "r+") as file:
        for note in list(file["episode_0"].attrs):
            del file["episode_0"].attrs[note]
    with pytest.raises(DataError, match="states of the simulator"):
        convert(source, tmp_path / "o.zarr", target("adroit/door"))
