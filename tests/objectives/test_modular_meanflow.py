"""Modular MeanFlow: the share of the gradient, its warm-up and its bias."""

import pytest
import torch

from mfpolicy import networks
from mfpolicy.errors import ConfigError
from mfpolicy.objectives import ConditionalVelocity, MeanFlow, ModularMeanFlow
from oracles.draws import MU, SIGMA, curved, weights
from oracles.gaussian import Gaussian

PLAIN = {"weighting": {"power": 0.0}}


def _actions(rows: int, seed: int = 0) -> torch.Tensor:
    return Gaussian(MU, SIGMA).sample((rows, 1, 1), torch.Generator().manual_seed(seed))


def _gradient(objective, **options) -> tuple[torch.Tensor, torch.Tensor]:
    weight = weights()
    loss, _ = objective(**options, **PLAIN).loss(
        curved(weight), _actions(200), torch.Generator().manual_seed(1)
    )
    return loss.detach(), torch.autograd.grad(loss, weight)[0]


def test_without_a_share_it_is_meanflow():
    for ours, theirs in zip(
        _gradient(ModularMeanFlow, share=0.0), _gradient(MeanFlow), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_the_share_moves_the_gradient_in_proportion_and_the_loss_not_at_all():
    (none, at0), (half, at5), (full, at1) = (
        _gradient(ModularMeanFlow, share=share, warm_up=0.0) for share in (0.0, 0.5, 1.0)
    )
    torch.testing.assert_close(none, half)
    torch.testing.assert_close(none, full)
    torch.testing.assert_close(at5, (at0 + at1) / 2)
    assert (at1 - at0).norm() > 0.1 * at0.norm()


def test_the_share_rises_over_the_warm_up():
    objective = ModularMeanFlow(share=0.8, warm_up=0.25)
    seen = []
    for objective.progress in (0.0, 0.125, 0.25, 0.9):
        seen.append(objective.modulation)
    assert seen == pytest.approx([0.0, 0.4, 0.8, 0.8])


@pytest.mark.parametrize("tangent", ["sampled", "predicted"])
def test_the_full_gradient_along_the_sampled_velocity_narrows_the_map(tangent):
    """Slope of the loss in the map's standard deviation, at the truth: above zero narrows it."""
    sigma = torch.tensor(SIGMA, dtype=torch.float64, requires_grad=True)
    objective = ModularMeanFlow(
        share=1.0, warm_up=0.0, tangent=tangent, time={"distribution": "uniform"}, **PLAIN
    )
    slopes = []
    for seed in range(30):
        generator = torch.Generator().manual_seed(100 + seed)
        loss, _ = objective.loss(Gaussian(MU, sigma), _actions(500, seed), generator)
        slopes.append(torch.autograd.grad(loss, sigma)[0])
    slopes = torch.stack(slopes)
    error = slopes.std() / len(slopes) ** 0.5
    if tangent == "sampled":
        assert slopes.mean() > 8 * error
    else:
        assert slopes.mean().abs() < 4 * error


def test_the_gradient_passes_through_the_derivative_of_a_network():
    """Against a finite difference of the loss along one direction of all weights."""
    torch.manual_seed(0)
    network = networks.build(
        "unet1d", action_dim=2, horizon=4, condition_dim=3, widths=[8, 8], time_dim=8
    ).double()
    condition = torch.randn(12, 3, dtype=torch.float64)
    actions = torch.rand(12, 4, 2, dtype=torch.float64)
    objective = ModularMeanFlow(share=1.0, warm_up=0.0, **PLAIN)

    def loss() -> torch.Tensor:
        velocity = ConditionalVelocity(network, network.prepare(condition))
        return objective.loss(velocity, actions, torch.Generator().manual_seed(1))[0]

    parameters = list(network.parameters())
    gradients = torch.autograd.grad(loss(), parameters)
    directions = [torch.randn_like(parameter) for parameter in parameters]
    slope = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
    values = []
    for step in (1e-7, -2e-7):
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.data.add_(direction, alpha=step)
        values.append(loss().detach())
    torch.testing.assert_close((values[0] - values[1]) / 2e-7, slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("options", [{"share": 1.5}, {"warm_up": -1}, {"tangent": "sampld"}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        ModularMeanFlow(**options)
