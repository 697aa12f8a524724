"""Flow matching: its target, and its samplers against Gaussian closed forms."""

import math

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.errors import ConfigError
from oracles.gaussian import Gaussian

MU, SIGMA = 0.3, 0.4
ORACLE = Gaussian(MU, SIGMA)


@pytest.fixture
def noise():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1000, 1, 1, dtype=torch.float64, generator=generator)


def _euler_std(steps: int) -> float:
    """prod_k |1 - s'(t_k) / (N s(t_k))|, t_k = 1, 1 - 1/N, …, 1/N."""
    std = 1.0
    for k in range(steps):
        t = 1 - k / steps
        scale = math.sqrt((1 - t) ** 2 * SIGMA**2 + t**2)
        slope = (t - (1 - t) * SIGMA**2) / scale
        std *= abs(1 - slope / (steps * scale))
    return std


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 40])
def test_euler_contracts_noise_by_the_product_of_its_steps(steps, noise):
    sample = objectives.build("flow_matching").sample(ORACLE, noise, steps)
    gain = (sample - sample.mean()).std() / noise.std()
    assert float(gain) == pytest.approx(_euler_std(steps), abs=1e-9)


def test_one_step_is_regression(noise):
    sample = objectives.build("flow_matching").sample(ORACLE, noise, 1)
    torch.testing.assert_close(sample, torch.full_like(noise, MU))


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_the_solver_has_its_order(solver, order, noise):
    objective = objectives.build("flow_matching", solver=solver)
    exact = MU + SIGMA * noise
    evaluations = 1 if solver == "euler" else 2
    errors = [
        float((objective.sample(ORACLE, noise, n * evaluations) - exact).abs().max())
        for n in (40, 80, 160)
    ]
    for coarse, fine in zip(errors[:-1], errors[1:], strict=True):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(("solver", "steps"), [("euler", 7), ("heun", 8)])
def test_steps_are_network_evaluations(solver, steps, noise):
    calls = []

    def counted(z, r, t):
        assert torch.equal(r, t)
        calls.append(float(t[0]))
        return ORACLE(z, r, t)

    objectives.build("flow_matching", solver=solver).sample(counted, noise, steps)
    assert len(calls) == steps
    assert calls[0] == 1


def test_ten_evaluations_are_the_default(noise):
    objective = objectives.build("flow_matching")
    assert torch.equal(objective.sample(ORACLE, noise), objective.sample(ORACLE, noise, 10))


def test_an_odd_number_is_not_for_heun(noise):
    with pytest.raises(ConfigError, match="steps of this FlowMatching must be a multiple of 2"):
        objectives.build("flow_matching", solver="heun").sample(ORACLE, noise, 5)
    with pytest.raises(ConfigError, match="a multiple of 2"):
        objectives.build("flow_matching", solver="heun", inference_steps=5)


@pytest.mark.parametrize("wrong", [{"p_equal": 0.5}, {"p_end": 0.1}])
def test_intervals_are_refused(wrong):
    with pytest.raises(ConfigError, match=r"time\.p_equal must be 1"):
        objectives.build("flow_matching", time=wrong)


def test_times_are_uniform_on_the_whole_interval(noise):
    objective = objectives.build("flow_matching")
    r, t = objective.times(torch.zeros(50_000, 1), torch.Generator().manual_seed(0))
    assert torch.equal(r, t)
    quantiles = torch.quantile(t, torch.linspace(0.1, 0.9, 9))
    torch.testing.assert_close(quantiles, torch.linspace(0.1, 0.9, 9), rtol=0, atol=0.01)


def test_the_true_velocity_minimises_the_loss():
    x = ORACLE.sample((100_000, 1, 1), torch.Generator().manual_seed(0))
    objective = objectives.build("flow_matching")

    def loss(shift: float, stretch: float) -> float:
        def velocity(z, r, t):
            return ORACLE(z, r, t) * (1 + stretch) + shift

        return float(objective.loss(velocity, x, torch.Generator().manual_seed(1))[0])

    for change in ((0.05, 0), (-0.05, 0), (0, 0.05), (0, -0.05)):
        assert loss(*change) > loss(0, 0)
