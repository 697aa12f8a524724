"""Policies kept along a training: those that it had, and the training is the same."""

from __future__ import annotations

import pytest

from mfpolicy.config.budget import snapshot_steps
from mfpolicy.errors import ConfigError
from mfpolicy.policy import load_policy
from mfpolicy.training import train
from mfpolicy.training.loop import Trainer
from mfpolicy.training.snapshots import kept_snapshots

MODEL = "model.safetensors"


def _saved_policies(monkeypatch):
    """Has every checkpoint leave its policy's bytes by their step."""
    saved, save = {}, Trainer._save

    def saving(self, folder):
        step = save(self, folder)
        saved[step] = (folder / MODEL).read_bytes()
        return step

    monkeypatch.setattr(Trainer, "_save", saving)
    return saved


def test_the_policies_of_a_training_are_kept_and_it_stays_the_same(
    configure, tmp_path, monkeypatch
):
    saved = _saved_policies(monkeypatch)
    train(configure("training.checkpoint_every=4"))
    plain = dict(saved)
    out = f"out={tmp_path / 'kept'}"
    summary = train(configure("training.checkpoint_every=4", "training.snapshots=3", out))
    assert saved == plain
    kept = kept_snapshots(summary.run)
    assert {step: (folder / MODEL).read_bytes() for step, folder in kept.items()} == plain
    assert load_policy(kept[4]).spec.task == "metaworld/drawer-open"
    assert (kept[4] / "config.yaml").read_bytes() == (summary.run / "config.yaml").read_bytes()


def test_a_resumed_training_keeps_the_same_ones(configure, tmp_path, monkeypatch):
    words = ("training.checkpoint_every=5", "training.snapshots=3")
    whole = train(configure(*words, f"out={tmp_path / 'whole'}")).run
    save = Trainer._save

    def stopped_after_saving(self, folder):
        save(self, folder)
        if self.step == 10:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_save", stopped_after_saving)
        with pytest.raises(KeyboardInterrupt):
            train(configure(*words))
    run = train(configure(*words, "resume=true")).run
    for step, folder in kept_snapshots(whole).items():
        again = kept_snapshots(run)[step]
        assert (again / MODEL).read_bytes() == (folder / MODEL).read_bytes()


def test_they_are_evenly_spaced_and_end_at_the_end():
    assert snapshot_steps(0, None) == ()
    assert snapshot_steps(5, 12) == (2, 5, 7, 10, 12)


@pytest.mark.parametrize("steps", [None, 3])
def test_more_of_them_than_steps_or_no_steps_are_refused(steps):
    with pytest.raises(ConfigError, match=r"training.snapshots needs"):
        snapshot_steps(4, steps)
