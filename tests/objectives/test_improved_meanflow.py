"""Improved MeanFlow: the compound velocity, and what its tangent does to the noise."""

import pytest
import torch

from mfpolicy.objectives import ImprovedMeanFlow, MeanFlow
from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.derivative import forward_derivative
from oracles.draws import MU, SIGMA, curved, weights
from oracles.gaussian import Gaussian

ORACLE = Gaussian(MU, SIGMA)


def _compound(velocity, at, *, tangent: torch.Tensor) -> torch.Tensor:
    """‖u + (t − r) sg(du/dt) − v‖², the loss as the paper writes it."""
    dudt = forward_derivative(velocity, at.z, at.r, at.t, tangent).detach()
    compound = velocity(at.z, at.r, at.t) + per_row(at.t - at.r, at.z) * dudt
    return (compound - at.v).square().mean()


@pytest.mark.parametrize(("cls", "predicted"), [(ImprovedMeanFlow, True), (MeanFlow, False)])
def test_it_is_the_compound_form_which_with_the_sampled_tangent_is_meanflow(cls, predicted):
    objective = cls(weighting={"power": 0.0})
    x = ORACLE.sample((300, 1, 1), torch.Generator().manual_seed(0))
    weight = weights()
    velocity = curved(weight)
    loss, _ = objective.loss(velocity, x, torch.Generator().manual_seed(1))
    at = objective.draw(velocity, x, torch.Generator().manual_seed(1))
    tangent = velocity(at.z, at.t, at.t).detach() if predicted else at.v
    compound = _compound(velocity, at, tangent=tangent)
    torch.testing.assert_close(loss, compound)
    found, expected = (torch.autograd.grad(value, weight)[0] for value in (loss, compound))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("cls", "variance"), [(ImprovedMeanFlow, 0.248), (MeanFlow, 0.065)])
def test_the_noise_of_the_target_is_flow_matchings_or_shrunk_by_the_flow(cls, variance):
    generator = torch.Generator().manual_seed(0)
    x = ORACLE.sample((20_000, 1, 1), generator)
    e = torch.randn(x.shape, dtype=x.dtype, generator=generator)
    z, t = 0.2 * x + 0.8 * e, torch.full((len(x),), 0.8, dtype=x.dtype)
    r = torch.full_like(t, 0.3)
    residual = cls().target(ORACLE, z, r, t, e - x) - ORACLE(z, r, t)
    assert residual.var() == pytest.approx(variance, rel=0.05)
