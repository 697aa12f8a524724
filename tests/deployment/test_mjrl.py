"""A policy of mjrl as an expert: the same actions, nothing executed, anything else refused."""

import io
import os
import pickle

import numpy as np
import pytest
import torch

import envs
from deployment.mjrl_files import write_policy
from envs.experts.network import NetworkExpert, expert_file
from mfpolicy import cli
from mfpolicy.data.reader import open_even_if_empty
from mfpolicy.deployment.importing.mjrl import read_mjrl_policy
from mfpolicy.errors import RunError

SIZES = (39, 32, 32, 28)


def test_the_mean_action_is_that_of_the_network_in_the_file(tmp_path):
    network = write_policy(tmp_path / "policy.pickle", SIZES)
    policy = read_mjrl_policy(tmp_path / "policy.pickle")
    assert [weight.shape for weight in policy.weights] == [(39, 32), (32, 32), (32, 28)]
    expert = NetworkExpert(policy.arrays(), seen_within=np.inf)
    observations = np.random.default_rng(1).normal(size=(50, 39)) * 3
    with torch.no_grad():
        theirs = network(torch.from_numpy(np.float32(observations))).numpy()
    ours = np.stack([expert.action(observation) for observation in observations])
    np.testing.assert_allclose(ours, np.clip(theirs, -1, 1), atol=2e-5)
    assert (np.abs(theirs) < 1).mean() > 0.2


class _Runs:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def _noise(policy, value):
    policy.log_std_val = value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda policy: setattr(policy.model, "nonlinearity", torch.relu), "tanh"),
        (lambda policy: setattr(policy.model, "in_scale", torch.zeros(3)), "39 entries"),
        (lambda policy: setattr(policy, "model", 3), "FCNetwork"),
        (lambda policy: policy.model.fc_layers.append(torch.nn.Linear(9, 9)), "fit one another"),
        (lambda policy: policy.model.fc_layers.append(torch.nn.ReLU()), "activation.ReLU"),
        (lambda policy: _noise(policy, io.BytesIO(b"x")), "_io.BytesIO"),
        (lambda policy: policy.model.fc_layers[0].bias.data.fill_(torch.nan), "finite"),
    ],
    ids=["relu", "scale", "model", "layers", "class", "elsewhere", "nan"],
)
def test_another_policy_is_refused_by_name(change, message, tmp_path):
    write_policy(tmp_path / "policy.pickle", SIZES, change=change)
    with pytest.raises(RunError, match=message):
        read_mjrl_policy(tmp_path / "policy.pickle")


def test_a_policy_that_would_run_code_runs_none(tmp_path):
    marker = tmp_path / "executed"
    hostile = tmp_path / "hostile.pickle"
    write_policy(hostile, SIZES, change=lambda policy: _noise(policy, _Runs(marker)))
    with pytest.raises(RunError, match=r"posix\.system"):
        read_mjrl_policy(hostile)
    assert not marker.exists()
    pickle.loads(pickle.dumps(_Runs(marker)))
    assert marker.exists()


def test_a_file_cut_anywhere_is_refused(tmp_path):
    write_policy(tmp_path / "whole.pickle", SIZES)
    whole = (tmp_path / "whole.pickle").read_bytes()
    for share in (0.0, 0.1, 0.4, 0.7, 0.999):
        (tmp_path / "cut.pickle").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(RunError):
            read_mjrl_policy(tmp_path / "cut.pickle")
    with pytest.raises(RunError, match="readable"):
        read_mjrl_policy(tmp_path / "none.pickle")


@pytest.mark.render
def test_collect_takes_it_as_expert_and_records_who_it_was(tmp_path, capsys):
    path, out = tmp_path / "mine.pickle", tmp_path / "door.zarr"
    write_policy(path, SIZES)
    words = ["collect", "task=adroit/door", f"expert={path}", f"out={out}", "episodes=1"]
    assert cli.main([*words, "max_attempts=1", "suite.horizon=3", "store_extras=false"]) == 2
    assert "0 times in 1 attempts" in capsys.readouterr().err
    policy = read_mjrl_policy(path)
    assert open_even_if_empty(out).spec.expert == f"mine.pickle sha256:{policy.sha256}"
    write_policy(path, SIZES, seed=1)
    assert cli.main([*words, "max_attempts=2", "suite.horizon=3", "store_extras=false"]) == 2
    assert "made alike" in capsys.readouterr().err


@pytest.mark.render
def test_collect_takes_an_expert_of_ours_by_its_file(tmp_path, capsys):
    path, out = expert_file("adroit", "door"), tmp_path / "door.zarr"
    words = ["collect", "task=adroit/door", f"out={out}", "episodes=1", "max_attempts=1"]
    words += ["suite.horizon=3", "store_extras=false"]
    assert cli.main([*words, f"expert={tmp_path}/none.npz"]) == 2
    assert "must name a file that exists" in capsys.readouterr().err
    assert cli.main([*words, f"expert={path}"]) == 2
    assert "0 times in 1 attempts" in capsys.readouterr().err
    assert open_even_if_empty(out).spec.expert.startswith("door.npz sha256:")


@pytest.mark.render
def test_an_expert_of_another_task_is_refused(tmp_path, capsys):
    path = tmp_path / "door.pickle"
    write_policy(path, SIZES)
    words = ["collect", "task=adroit/hammer", f"expert={path}", f"out={tmp_path}/x", "episodes=1"]
    assert cli.main(words) == 2
    assert "46 observations and give 26 actions" in capsys.readouterr().err


def test_the_simulator_asks_it_with_its_own_observation(tmp_path):
    network = write_policy(tmp_path / "policy.pickle", SIZES)
    policy = read_mjrl_policy(tmp_path / "policy.pickle")
    env = envs.make("adroit/door")
    env._simulation.reset(3)
    env.use_expert(NetworkExpert(policy.arrays(), seen_within=np.inf), "mine")
    with torch.no_grad():
        wanted = network(torch.from_numpy(np.float32(env._simulation.full_state()))).clamp(-1, 1)
    np.testing.assert_allclose(env.expert_action(), wanted.numpy(), atol=2e-5)
    assert env.spec_task.expert == "mine"
    env.close()
