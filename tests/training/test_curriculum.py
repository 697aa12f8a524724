"""What an objective is told while it trains: how far training is, and the averaged weights."""

import pytest
import torch
from safetensors.torch import load_file

from mfpolicy.data import WindowDataset, open_dataset
from mfpolicy.objectives import AlphaFlow, Shortcut
from mfpolicy.training import train
from mfpolicy.training.checkpoint import load_state
from mfpolicy.training.loop import Trainer
from mfpolicy.training.train import _build

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


def _trainer(config) -> Trainer:
    policy = config.policy
    dataset = open_dataset(config.data)
    windows = WindowDataset(
        dataset,
        n_obs_steps=policy.n_obs_steps,
        horizon=policy.horizon,
        n_action_steps=policy.n_action_steps,
        points=policy.points,
    )
    return Trainer(_build(config, dataset, windows), windows, config, fingerprint="")


def test_shortcut_is_shown_the_average_of_the_weights(configure, monkeypatch):
    seen = []
    target = Shortcut.target

    def spied(self, velocity, *rows):
        seen.append(velocity)
        return target(self, velocity, *rows)

    monkeypatch.setattr(Shortcut, "target", spied)
    trainer = _trainer(configure("objective=shortcut"))
    names = [name for name, _ in trainer.policy.named_parameters()]
    states = []
    for _ in range(4):
        states.append({n: v.clone() for n, v in trainer.ema.state().items() if n in names})
        trainer._seconds = 0.0
        trainer._one_step()
        shown = dict(seen[-1].average.network.named_parameters())
        network = {n.removeprefix("network."): n for n in names if n.startswith("network.")}
        for short, name in network.items():
            assert torch.equal(shown[short], trainer.ema.state()[name])
            assert not shown[short].requires_grad
    moved = states[-1]["network.film_time.weight"] - states[0]["network.film_time.weight"]
    assert moved.abs().max() > 0


def test_the_average_is_no_part_of_the_policy(configure):
    trainer = _trainer(configure("objective=shortcut"))
    plain = _trainer(configure("objective=shortcut", "objective.legs=own"))
    assert trainer.policy.state_dict().keys() == plain.policy.state_dict().keys()
    assert len(list(trainer.policy.parameters())) == len(list(plain.policy.parameters()))
    batch = trainer.update.batch_of(0)
    for one, shown in ((trainer, True), (plain, False)):
        velocities = []
        one.policy.objective.loss = lambda velocity, *_, seen=velocities: seen.append(velocity)
        one.policy.loss(batch)
        assert (velocities[0].average is not None) == shown
