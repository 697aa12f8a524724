"""What an objective is told while it trains: how far training is, and the averaged weights."""

import pytest
import torch
from safetensors.torch import load_file

from mfpolicy.objectives import AlphaFlow, Shortcut
from mfpolicy.training import train
from mfpolicy.training.checkpoint import load_state
from mfpolicy.training.loop import Trainer

STEPS = 12


def _weights(run) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def _assert_same(left, right) -> None:
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


@pytest.fixture
def stop_after(monkeypatch):
    """Returns a function that makes training stop as if asked to, after so many steps."""
    one_step = Trainer._one_step

    def install(steps: int | None) -> None:
        def counted(self):
            one_step(self)
            if self.step == steps:
                raise KeyboardInterrupt

        monkeypatch.setattr(Trainer, "_one_step", one_step if steps is None else counted)

    return install


def test_progress_is_set_before_every_step_also_after_a_resume(configure, monkeypatch, stop_after):
    seen = []
    loss = AlphaFlow.loss

    def spied(self, *arguments):
        seen.append((self.progress, self.share))
        return loss(self, *arguments)

    monkeypatch.setattr(AlphaFlow, "loss", spied)
    words = ("objective=alpha_flow", f"training.steps={STEPS}", "resume=true")
    stop_after(7)
    with pytest.raises(KeyboardInterrupt):
        train(configure(*words))
    stop_after(None)
    train(configure(*words))
    resumed_at = 5  # the newest checkpoint
    expected = [step / STEPS for step in [*range(7), *range(resumed_at, STEPS)]]
    assert [progress for progress, _ in seen] == expected
    assert seen[0][1] == 1  # flow matching at first
    assert seen[-1][1] < 0.1
    assert len({share for _, share in seen}) > 4  # and a curriculum between


@pytest.mark.parametrize("objective", ["alpha_flow", "modular_meanflow", "shortcut"])
def test_a_resume_inside_a_curriculum_is_exact(configure, tmp_path, stop_after, objective):
    words = (f"objective={objective}", "resume=true")
    whole = train(configure(*words, f"out={tmp_path / 'whole'}")).run
    stop_after(7)
    with pytest.raises(KeyboardInterrupt):
        train(configure(*words))
    stop_after(None)
    run = train(configure(*words)).run
    _assert_same(_weights(whole), _weights(run))
    states = [load_state(folder / "training_state") for folder in (whole, run)]
    _assert_same(*(state.tensors for state in states))


@pytest.mark.parametrize("legs", ["average", "own"])
def test_shortcut_is_shown_the_average_of_the_weights(configure, monkeypatch, legs):
    shown, compared, trainers = [], [], []
    target, one_step = Shortcut.target, Trainer._one_step

    def spied(self, velocity, *rows):
        shown.append(velocity.average)
        return target(self, velocity, *rows)

    def stepped(self):
        before = [average.clone() for average in self.ema.averages]
        one_step(self)
        trainers.append(self)
        if shown[-1] is not None:
            seen = dict(shown[-1].network.named_parameters())
            assert not any(parameter.requires_grad for parameter in seen.values())
            names = [name.removeprefix("network.") for name in self.ema.names]
            pairs = zip(names, before, self.ema.averages, strict=True)
            mine = [(seen[n], old, new) for n, old, new in pairs if n in seen]
            assert all(torch.equal(now, new) for now, _, new in mine)
            compared.append(any(not torch.equal(old, new) for _, old, new in mine))

    monkeypatch.setattr(Shortcut, "target", spied)
    monkeypatch.setattr(Trainer, "_one_step", stepped)
    run = train(configure("objective=shortcut", f"objective.legs={legs}", "training.steps=4")).run
    assert [average is not None for average in shown] == [legs == "average"] * 4
    assert compared == [True] * 4 * (legs == "average")
    assert _weights(run).keys() == trainers[0].policy.state_dict().keys()
    assert not any("average" in name for name in _weights(run))
