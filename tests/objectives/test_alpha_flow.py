"""AlphaFlow: its limits, its equalities and its curriculum."""

import pytest
import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives import AlphaFlow, MeanFlow
from mfpolicy.objectives.alpha_flow import Curriculum
from mfpolicy.objectives.interval_target import interval_target, split_time
from mfpolicy.objectives.shortcut import Shortcut
from oracles.draws import MU, SIGMA, curved, draw, weights
from oracles.gaussian import Gaussian

ORACLE = Gaussian(MU, SIGMA)


class _Constant(Curriculum):
    """a that stays."""

    def share(self, progress: float) -> float:
        return progress


def _at(share: float, **options) -> AlphaFlow:
    objective = AlphaFlow(**options)
    objective.curriculum = _Constant()
    objective.progress = share
    return objective


def test_at_one_every_interval_is_regressed_onto_the_sampled_velocity():
    z, r, t, v = draw(50)
    assert torch.equal(_at(1.0).target(curved(weights()), z, r, t, v), v)


def test_at_zero_it_is_meanflow():
    x = ORACLE.sample((200, 1, 1), torch.Generator().manual_seed(0))
    for options in ({}, {"derivative": "finite_difference"}, {"weighting": {"power": 1.0}}):
        options = {"weighting": {"power": 0.5}, **options}
        alpha, _ = _at(0.0, **options).loss(ORACLE, x, torch.Generator().manual_seed(1))
        mean, _ = MeanFlow(**options).loss(ORACLE, x, torch.Generator().manual_seed(1))
        assert torch.equal(alpha, mean)


def test_the_residual_tends_to_meanflows_in_proportion_to_a():
    z, r, t, v = draw(2000)
    velocity = curved(weights().detach())
    u = velocity(z, r, t)
    meanflow = u - MeanFlow().target(velocity, z, r, t, v)
    error = [
        ((u - _at(a).target(velocity, z, r, t, v)) / a - meanflow).abs().mean()
        for a in (0.1, 0.01, 0.001)
    ]
    assert error[0] < 0.2
    assert error[0] / error[1] == pytest.approx(10, rel=0.2)
    assert error[1] / error[2] == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_gradient_tends_to_meanflows_at_any_power(power):
    x = ORACLE.sample((500, 1, 1), torch.Generator().manual_seed(0))
    a, gradients = 1e-4, []
    for build, constant in ((lambda **o: _at(a, **o), 0.01 * a**2), (MeanFlow, 0.01)):
        objective = build(weighting={"power": power, "constant": constant}, time={"p_equal": 0.0})
        weight = weights()
        loss, _ = objective.loss(curved(weight), x, torch.Generator().manual_seed(1))
        gradients.append(torch.autograd.grad(loss, weight)[0])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=2e-3, atol=1e-4)


def test_half_with_own_first_part_is_a_shortcut():
    z, *_ = draw(40)
    t = torch.ones(40, dtype=z.dtype)
    r = torch.zeros_like(t)
    velocity = curved(weights().detach())
    first = velocity(z, split_time(r, t, 0.5), t)
    ours = interval_target(velocity, z, r, t, first, 0.5)
    shortcut = Shortcut(clip=1e9).target(velocity, z, r, t, torch.zeros_like(z))
    torch.testing.assert_close(ours, shortcut)


def test_the_bias_of_a_finite_a_shrinks_with_its_square():
    """On the oracle: slope in z of E[u_tgt | z] − u, which is zero for MeanFlow."""
    generator = torch.Generator().manual_seed(3)
    x = ORACLE.sample((50_000, 1, 1), generator)
    e = torch.randn(x.shape, dtype=x.dtype, generator=generator)
    z, v = 0.2 * x + 0.8 * e, e - x
    t = torch.full((len(x),), 0.8, dtype=x.dtype)
    r = torch.full_like(t, 0.3)
    centred = z - z.mean()

    def slope(a: float) -> float:
        bias = _at(a).target(ORACLE, z, r, t, v) - ORACLE(z, r, t)
        return float((bias * centred).mean() / centred.square().mean())

    assert abs(slope(1.0)) > 5 * abs(slope(0.5)) > 25 * abs(slope(0.1))


def test_the_curriculum_falls_from_one_to_zero_between_its_ends():
    curriculum = Curriculum(start=0.2, end=0.8)
    shares = [curriculum.share(step / 100) for step in range(101)]
    assert shares == sorted(shares, reverse=True)
    assert shares[20] == 1.0
    assert shares[50] == pytest.approx(0.5)
    assert shares[80] == 0.0
    assert all(share in (0.0, 1.0) or 0.005 <= share <= 0.995 for share in shares)


def test_progress_moves_the_loss_and_is_logged():
    x = ORACLE.sample((100, 1, 1), torch.Generator().manual_seed(0))
    objective = AlphaFlow()
    logged, losses = [], []
    for objective.progress in (0.0, 0.5, 1.0):
        loss, diagnostics = objective.loss(ORACLE, x, torch.Generator().manual_seed(1))
        losses.append(float(loss))
        logged.append(float(diagnostics["alpha"]))
    assert logged == [1.0, 0.5, 0.0]
    assert len(set(losses)) == 3


@pytest.mark.parametrize(
    "curriculum", [{"start": 0.5, "end": 0.5}, {"start": -0.1}, {"threshold": 0.9}, {"strat": 0}]
)
def test_an_impossible_curriculum_is_refused(curriculum):
    with pytest.raises(ConfigError, match="start|threshold"):
        AlphaFlow(curriculum=curriculum)
