"""A run with another encoder, another network and an auxiliary loss, from its command line on."""

import json

import pytest

from mfpolicy.config import compose
from mfpolicy.errors import ConfigError
from mfpolicy.policy import load_policy
from mfpolicy.training import train
from oracles.demonstrations import TASK

PARTS = (
    *("policy=mp1_small", "policy.points=32", "encoder=point_transformer", "encoder.width=8"),
    *("encoder.tokens=4", "encoder.neighbours=3", "encoder.layers=1", "encoder.fusion=film"),
    *("network=transformer", "network.width=8", "network.depth=1", "network.time_dim=8"),
    *("training.steps=3", "training.batch_size=16", "training.log_every=1"),
    *("logging.wandb=disabled", "auxiliary.state.enabled=true", "auxiliary.state.hidden_dim=8"),
)


def _config(dataset, run, *more):
    return compose("train", [f"task={TASK}", f"data={dataset}", f"out={run}", *PARTS, *more])


def test_what_is_switched_on_is_trained_logged_saved_and_resumed(dataset, tmp_path):
    run = tmp_path / "run"
    config = _config(dataset, run)
    train(config)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(line["auxiliary_state"] > 0 for line in lines)
    policy = load_policy(run)
    assert policy.spec.auxiliary == {"state": {"weight": 0.1, "hidden_dim": 8}}
    assert policy.encoder.tokens == policy.network.tokens == 8
    assert list(policy.auxiliary) == ["state"]
    resumed = train(_config(dataset, run, "resume=true"))
    assert resumed.step == 3


def test_an_auxiliary_loss_that_is_not_told_whether_it_is_on_is_refused(dataset, tmp_path):
    with pytest.raises(ConfigError, match="enabled must be true or false"):
        _config(dataset, tmp_path, "auxiliary.next_state.enabled=maybe")
