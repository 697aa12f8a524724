"""What every registered objective must do: a new one is tested by existing."""

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.errors import ConfigError
from mfpolicy.objectives.base import per_row
from oracles.draws import MU, SIGMA, taught
from oracles.gaussian import Gaussian


@pytest.fixture(params=objectives.names())
def objective(request):
    return objectives.build(request.param)


@pytest.fixture
def noise():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4000, 2, 3, dtype=torch.float64, generator=generator)


def _predicts(what: str) -> list[str]:
    return [n for n in objectives.names() if objectives.OBJECTIVES.get(n).predicts == what]


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _does(objective: objectives.Objective, steps: int | None) -> bool:
    try:
        objective.check_steps(steps)
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize("name", _predicts("average_velocity"))
@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_the_exact_average_velocity_gives_the_exact_sample(name, noise, steps):
    objective = objectives.build(name)
    if not _does(objective, steps):
        with pytest.raises(ConfigError, match="steps of this"):
            objective.sample(Gaussian(MU, SIGMA), noise, steps)
        return
    sample = objective.sample(Gaussian(MU, SIGMA), noise, steps)
    torch.testing.assert_close(sample, MU + SIGMA * noise, rtol=0, atol=1e-9)


@pytest.mark.parametrize("steps", [None, 1, 2, 5, 10])
def test_data_that_are_one_chunk_are_always_sampled(objective, noise, steps):
    """What the network says of data that are always 0.25, in the objective's own convention."""
    if not _does(objective, steps):
        with pytest.raises(ConfigError, match="steps"):
            objective.sample(Gaussian(MU, SIGMA), noise, steps)
        return

    def network(z, r, t):
        if objective.predicts == "sample":
            return torch.full_like(z, 0.25)
        return (z - 0.25) / per_row(t, z)

    sample = objective.sample(network, noise[:50], steps)
    torch.testing.assert_close(sample, torch.full_like(sample, 0.25), rtol=0, atol=1e-9)


def test_the_default_steps_are_as_many_network_evaluations(objective, noise):
    calls = []

    def counted(z, r, t):
        calls.append(t)
        return 0.1 * z

    default = objective.sample(counted, noise)
    assert len(calls) == objective.default_steps == objective.check_steps(None)
    assert torch.equal(default, objective.sample(counted, noise, objective.default_steps))


def test_loss_is_a_finite_scalar_with_detached_diagnostics(objective):
    weight = torch.ones(3, requires_grad=True)
    actions = torch.rand(64, 4, 3, generator=torch.Generator().manual_seed(0))
    loss, diagnostics = objective.loss(taught(lambda z, r, t: (z + 1) * weight), actions)
    loss.backward()
    assert loss.shape == ()
    assert loss.isfinite()
    assert weight.grad.isfinite().all()
    assert weight.grad.any()
    assert not any(value.requires_grad for value in diagnostics.values())


def test_the_generator_decides_the_loss(objective):
    actions = torch.rand(64, 4, 3, generator=torch.Generator().manual_seed(0))
    losses = [
        objective.loss(taught(Gaussian(MU, SIGMA)), actions, _seeded(seed))[0] for seed in (1, 1, 2)
    ]
    assert losses[0] == losses[1]
    assert (losses[1] == losses[2]) == isinstance(objective, objectives.Regression)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True])
def test_steps_it_cannot_do_are_refused(objective, noise, steps):
    with pytest.raises(ConfigError, match="steps must be a whole number"):
        objective.sample(Gaussian(MU, SIGMA), noise[:1], steps)


@pytest.mark.parametrize("name", objectives.names())
def test_an_unknown_option_is_refused_with_the_nearest(name):
    known = next(iter(objectives.OBJECTIVES.options(name)))
    with pytest.raises(ConfigError, match=f"did you mean '{known}'"):
        objectives.build(name, **{known + "x": 1})


def test_an_unknown_objective_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'meanflow'"):
        objectives.build("menflow")
