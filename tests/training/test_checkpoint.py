"""Checkpoints: two kept, a damaged one passed over, a full disk reported."""

import errno

import pytest
import torch

from mfpolicy.errors import RunError
from mfpolicy.training import checkpoint
from mfpolicy.training.checkpoint import (
    TrainingState,
    flatten,
    load_state,
    save_state,
    unflatten,
)


def _state(step: int) -> TrainingState:
    return TrainingState(step, {"policy/w": torch.full((100,), float(step))}, "data")


def test_the_newest_is_loaded_and_two_are_kept(tmp_path):
    for step in (5, 10, 15, 100):
        save_state(tmp_path, _state(step))
    assert len(list(tmp_path.iterdir())) == 2
    state = load_state(tmp_path)
    assert (state.step, state.fingerprint) == (100, "data")
    assert torch.equal(state.tensors["policy/w"], torch.full((100,), 100.0))


@pytest.mark.parametrize("kept", [0, 7, 100, 300])
def test_a_truncated_newest_one_is_reported_and_the_previous_used(tmp_path, kept):
    save_state(tmp_path, _state(5))
    newest = save_state(tmp_path, _state(10))
    newest.write_bytes(newest.read_bytes()[:kept])
    with pytest.warns(UserWarning, match="step-00000010"):
        assert load_state(tmp_path).step == 5


def test_without_a_checkpoint_there_is_none(tmp_path):
    assert load_state(tmp_path / "nothing") is None


def test_a_full_disk_is_reported_and_the_previous_checkpoint_stays(tmp_path, monkeypatch):
    save_state(tmp_path, _state(5))

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "_sync", full)
    with pytest.raises(RunError, match="free disk space"):
        save_state(tmp_path, _state(10))
    assert load_state(tmp_path).step == 5
    assert len(list(tmp_path.iterdir())) == 1


def test_prefixes_come_off_as_they_went_on():
    tensors = {"a.b": torch.ones(2), "c": torch.zeros(1)}
    assert unflatten("ema", {**flatten("ema", tensors), **flatten("policy", tensors)}).keys() == (
        tensors.keys()
    )
