"""TensorBoard event files, read back by its own reader."""

import sys

import pytest

from mfpolicy.errors import BackendError
from mfpolicy.training import train


def _points(run, name: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(run / "tensorboard"))
    reader.Reload()
    return [(event.step, event.value) for event in reader.Scalars(f"train/{name}")]


def test_tensorboard_shows_every_line_once_also_after_a_resume(configure, tmp_path):
    words = ("logging.tensorboard=true", "training.log_every=1")
    whole = train(configure(*words)).run
    assert [step for step, _ in _points(whole, "loss")] == list(range(1, 13))
    assert all(value > 0 for _, value in _points(whole, "samples_per_s"))


def test_without_the_package_the_remedy_is_named(configure, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(BackendError, match=r"pip install 'mfpolicy\[tensorboard\]'"):
        train(configure("logging.tensorboard=true"))
