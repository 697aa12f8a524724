"""Held-out episodes: never trained on, measured with the averaged weights, a reason to stop."""

import json

import pytest
import torch
from safetensors.torch import load_file

from mfpolicy.data import WindowDataset, open_dataset
from mfpolicy.errors import ConfigError
from mfpolicy.policy import load_policy
from mfpolicy.training import train
from mfpolicy.training.heldout import METRIC, split_episodes
from mfpolicy.training.update import Update
from mfpolicy.types import Observation


def _lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_every_episode_is_trained_on_or_held_out(configure):
    config = configure("validation.episodes=1")
    dataset = open_dataset(config.data)
    trained, held = split_episodes(dataset, config)
    assert len(held) == 1
    assert sorted([*trained, *held]) == [0, 1, 2, 3]
    choices = {
        tuple(split_episodes(dataset, configure("validation.episodes=1", f"seed={seed}"))[1])
        for seed in range(8)
    }
    assert len(choices) > 1


def test_the_logged_error_is_that_of_the_saved_policy(configure):
    config = configure("validation.episodes=1", "validation.every=4", "objective=regression")
    run = train(config).run
    logged = [line[METRIC] for line in _lines(run)]
    assert len(logged) == 3
    policy = load_policy(run)
    dataset = open_dataset(config.data)
    held = split_episodes(dataset, config)[1]
    windows = WindowDataset(
        dataset, n_obs_steps=2, horizon=4, n_action_steps=3, points=32, episodes=held
    )
    batch = windows.batch(torch.arange(len(windows)))
    actions = policy.predict(Observation(batch.point_cloud, batch.agent_pos))
    scale = policy.normalizer.action
    error = scale(actions) - scale(batch.action[:, 1:4])
    assert logged[-1] == pytest.approx(float(error.square().mean().sqrt()), rel=1e-5)


def test_the_average_is_measured_also_where_the_network_is_compiled(
    configure, monkeypatch, tmp_path
):
    """A compiled function is bound to the weights that are trained, also in a copy."""
    words = ("validation.episodes=1", "validation.every=4", "training.learning_rate=1e-2")
    plain = train(configure(*words)).run
    init = Update.__init__

    def compiled(self, policy, *arguments):
        init(self, policy, *arguments)
        policy.network.features = (lambda features: lambda *inputs: features(*inputs))(
            policy.network.features
        )

    monkeypatch.setattr(Update, "__init__", compiled)
    run = train(configure(*words, f"out={tmp_path / 'compiled'}")).run
    logged = [[line[METRIC] for line in _lines(folder)] for folder in (plain, run)]
    assert len(logged[0]) == 3
    assert logged[0] == logged[1]


def test_holding_out_changes_nothing_else(configure, tmp_path):
    """The measurement draws from its own generator: the weights are those without it."""
    runs = [
        train(configure("validation.episodes=1", f"validation.every={n}", f"out={tmp_path / n}"))
        for n in ("3", "1000")
    ]
    one, other = (load_file(summary.run / "model.safetensors") for summary in runs)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_an_error_that_stays_stops_the_run_and_a_resume_stays_stopped(configure):
    still = (
        "validation.episodes=1",
        "validation.every=2",
        "validation.patience=2",
        "training.learning_rate=1e-30",
        "training.weight_decay=0",
    )
    summary = train(configure(*still))
    assert (summary.step, summary.stopped_early, summary.interrupted) == (6, True, False)
    again = train(configure(*still, "resume=true"))
    assert (again.step, again.stopped_early) == (6, True)


def test_patience_without_held_out_episodes_is_refused(configure):
    with pytest.raises(ConfigError, match="trained or tested on"):
        configure("validation.patience=3")


def test_holding_out_everything_is_refused(configure, tmp_path):
    with pytest.raises(ConfigError, match="at most 3"):
        train(configure("validation.episodes=4"))
    assert not (tmp_path / "run").exists()
