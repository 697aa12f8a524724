"""Regression: its minimiser, its determinism, its one step."""

import math

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.errors import ConfigError
from mfpolicy.networks import Network
from mfpolicy.objectives import ConditionalVelocity


def _fit(rows: torch.Tensor, **options) -> torch.Tensor:
    """Minimises the loss over a constant and a slope on the input."""
    objective = objectives.build("regression", **options)
    weight = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([weight], lr=0.02)
    generator = torch.Generator().manual_seed(0)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 400)
        loss, _ = objective.loss(lambda z, r, t: weight[0] + weight[1] * z, rows, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return weight.detach()


@pytest.fixture
def skewed():
    uniform = torch.rand(
        4000, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    return uniform**3


def test_mean_square_fits_the_mean_and_absolute_error_the_median(skewed):
    assert _fit(skewed)[0] == pytest.approx(float(skewed.mean()), abs=0.005)
    assert _fit(skewed, norm="l1")[0] == pytest.approx(float(skewed.median()), abs=0.005)


def test_random_input_teaches_nothing_but_the_mean(skewed):
    constant, slope = _fit(skewed, input_noise="random")
    assert constant == pytest.approx(float(skewed.mean()), abs=0.01)
    assert slope == pytest.approx(0, abs=0.01)


class _OfCondition(Network):
    """A small network of the condition and the noise."""

    def __init__(self) -> None:
        super().__init__(action_dim=1, horizon=1, condition_dim=1)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(2, 32),
            torch.nn.SiLU(),
            torch.nn.Linear(32, 32),
            torch.nn.SiLU(),
            torch.nn.Linear(32, 1),
        )

    def features(self, z, r, t, prepared):
        return self.layers(torch.cat([z[:, 0], prepared], dim=1))[:, None], []


@pytest.mark.parametrize(
    ("options", "above"),
    [({}, 1.0), ({"norm": "l1"}, math.log(2)), ({"input_noise": "random"}, 1.0)],
)
def test_a_trained_network_gives_the_conditional_mean_or_median(options, above):
    """x = sin(3 c) / 2 + 0.4 E with E exponential, whose mean is 1 and whose median is ln 2."""
    torch.manual_seed(0)
    network, objective = _OfCondition(), objectives.build("regression", **options)
    optimizer = torch.optim.Adam(network.parameters())
    generator = torch.Generator().manual_seed(0)
    steps, rows = 1000, 512
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-2 * (1 - step / steps)
        c = 2 * torch.rand(rows, 1, generator=generator) - 1
        skewed = -torch.rand(rows, 1, generator=generator).clamp(min=1e-6).log()
        x = (0.5 * torch.sin(3 * c) + 0.4 * skewed)[:, None]
        loss, _ = objective.loss(ConditionalVelocity(network, c), x, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    c = torch.linspace(-1, 1, 41)[:, None]
    noise = torch.randn(41 * 100, 1, 1, generator=generator)
    with torch.no_grad():
        many = objective.sample(ConditionalVelocity(network, c.repeat_interleave(100, 0)), noise)
    got = many.view(41, 100).mean(dim=1, keepdim=True)
    expected = 0.5 * torch.sin(3 * c) + 0.4 * above
    error = (got - expected).abs()
    assert error.max() < 0.05
    assert error.mean() < 0.015


def test_the_network_is_asked_at_noise_time_with_zeros():
    asked = []

    def network(z, r, t):
        asked.append((z.unique().tolist(), r.unique().tolist(), t.unique().tolist()))
        return z + 0.25

    noise = torch.randn(3, 4, 2)
    sample = objectives.build("regression").sample(network, noise)
    assert asked == [([0.0], [0.0], [1.0])]
    assert torch.equal(sample, torch.full((3, 4, 2), 0.25))
    random = objectives.build("regression", input_noise="random")
    assert torch.equal(random.sample(network, noise), noise + 0.25)


def test_more_steps_are_refused():
    with pytest.raises(ConfigError, match="steps of this Regression must be 1"):
        objectives.build("regression").sample(lambda z, r, t: z, torch.zeros(1, 1, 1), 2)


def test_a_power_without_squares_is_refused():
    with pytest.raises(ConfigError, match=r"weighting\.power must be 0 with norm=l1"):
        objectives.build("regression", norm="l1", weighting={"power": 0.5})
