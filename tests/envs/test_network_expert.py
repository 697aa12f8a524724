"""The expert's file: what it computes, and what is said when it cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import envs
from envs.experts import network
from envs.experts.network import NetworkExpert, expert_file
from mfpolicy.errors import BackendError

OBSERVED, HIDDEN, ACTIONS = 39, 16, 28  # those of the door
META = {"task": "adroit/door", "success": 0.9}
NETWORK_TASKS = [task for task in envs.tasks() if task.expert == "network"]


def arrays_of(seed: int, layers: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    widths = [OBSERVED, *[HIDDEN] * (layers - 1), ACTIONS]
    arrays = {
        "observation_mean": rng.normal(size=OBSERVED),
        "observation_scale": rng.uniform(0.1, 2, OBSERVED),
    }
    for layer in range(layers):
        arrays[f"weight_{layer}"] = rng.normal(size=widths[layer : layer + 2]) / 4
        arrays[f"bias_{layer}"] = rng.normal(size=widths[layer + 1]) / 4
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def write(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    np.savez(path, meta=np.array(json.dumps(META)), **arrays)
    return path


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_file_gives_the_perceptron_it_describes(tmp_path: Path, layers: int) -> None:
    arrays = arrays_of(0, layers)
    expert = NetworkExpert.load(write(tmp_path / "door.npz", arrays))
    assert expert.meta == META
    actions = []
    for state in np.random.default_rng(1).normal(scale=20, size=(50, OBSERVED)):
        hidden = (state - arrays["observation_mean"]) / arrays["observation_scale"]
        hidden = np.clip(hidden, -10, 10)
        for layer in range(layers - 1):
            hidden = np.tanh(hidden @ arrays[f"weight_{layer}"] + arrays[f"bias_{layer}"])
        last = hidden @ arrays[f"weight_{layers - 1}"] + arrays[f"bias_{layers - 1}"]
        actions.append(expert.action(state))
        assert actions[-1].dtype == np.float32
        np.testing.assert_allclose(actions[-1], np.clip(last, -1, 1), atol=1e-5)
    assert 1 in np.abs(actions)  # some entries were clipped, others not
    assert np.min(np.abs(actions)) < 0.5


def broken(**changes: np.ndarray | None) -> dict[str, np.ndarray]:
    arrays = {**arrays_of(0), **changes}
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (broken(bias_1=None), "bias_0.*bias_2"),
        (broken(extra=np.zeros(3, np.float32)), "extra"),
        (broken(bias_1=np.zeros(HIDDEN + 1, np.float32)), r"bias_1 of shape \(17,\)"),
        (broken(weight_1=np.zeros((5, HIDDEN), np.float32)), r"weight_1 \(5, 16\).*width \(16,\)"),
        (broken(weight_2=np.zeros((HIDDEN, ACTIONS))), "weight_2 of type float64"),
        (broken(bias_2=np.full(ACTIONS, np.nan, np.float32)), "bias_2.*not finite"),
        (broken(observation_scale=np.zeros(OBSERVED, np.float32)), "not positive"),
        ({}, "arrays"),
    ],
)
def test_a_file_with_other_arrays_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], said: str
) -> None:
    path = write(tmp_path / "door.npz", arrays)
    with pytest.raises(BackendError, match=f"readable file of weights.*{said}.*install") as error:
        NetworkExpert.load(path)
    assert str(path) in str(error.value)


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.npz", arrays_of(0)).read_bytes()
    for name, content in (("cut", whole[:900]), ("text", b"no archive"), ("empty", b"")):
        path = tmp_path / f"{name}.npz"
        path.write_bytes(content)
        with pytest.raises(BackendError, match=f"{name}.npz"):
            NetworkExpert.load(path)
    with pytest.raises(BackendError, match="absent.npz.*expert=FILE"):
        NetworkExpert.load(tmp_path / "absent.npz")
    for name, meta in (("list", "[]"), ("no-json", "{")):
        np.savez(tmp_path / name, meta=np.array(meta), **arrays_of(0))
        with pytest.raises(BackendError, match=f"{name}.npz"):
            NetworkExpert.load(tmp_path / f"{name}.npz")


def test_objects_in_a_file_are_not_unpickled(tmp_path: Path) -> None:
    arrays = {**arrays_of(0), "bias_0": np.array([object()], dtype=object)}
    with pytest.raises(BackendError, match="allow_pickle"):
        NetworkExpert.load(write(tmp_path / "door.npz", arrays))


def test_a_simulation_acts_by_the_file_of_its_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "__file__", str(tmp_path / "network.py"))
    simulation = envs.open_simulation("adroit/door")
    with pytest.raises(BackendError, match=r"adroit/door\.npz"):
        simulation.expert_action()
    (tmp_path / "adroit").mkdir()
    expert = NetworkExpert.load(write(tmp_path / "adroit/door.npz", arrays_of(3)))
    simulation.reset(5)
    assert np.array_equal(simulation.expert_action(), expert.action(simulation.full_state()))
    simulation.close()


@pytest.mark.parametrize("task", [task.name for task in NETWORK_TASKS])
def test_the_file_of_a_task_fits_it(task: str) -> None:
    path = expert_file(*task.split("/"))
    simulation = envs.open_simulation(task)
    assert simulation.expert_action().shape == (envs.spec(task).action_dim,)
    assert NetworkExpert.load(path).meta["task"] == task
    simulation.close()
