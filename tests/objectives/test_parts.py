"""Time sampling, weighting and dispersive terms: what each promises."""

import math

import pytest
import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.dispersive import KINDS, Dispersive
from mfpolicy.objectives.time_sampling import TimeSampling
from mfpolicy.objectives.weighting import Weighting

LIKE = torch.zeros(1, dtype=torch.float64)


@pytest.mark.parametrize("distribution", ["logit_normal", "uniform"])
def test_times_are_ordered_with_exact_shares(distribution):
    time = TimeSampling(distribution=distribution, p_equal=0.25, p_end=0.2)
    r, t = time.sample(1000, LIKE, torch.Generator().manual_seed(0))
    assert ((r >= 0) & (r <= t) & (t <= 1)).all()
    assert (r == t).sum() == 250
    assert ((r == 0) & (t == 1)).sum() == 150


def test_logit_normal_times_have_their_moments():
    time = TimeSampling(mean=-0.4, std=1.0, p_equal=0.0)
    r, t = time.sample(100_000, LIKE, torch.Generator().manual_seed(0))
    logits = torch.logit(torch.cat([r, t]))
    assert logits.mean() == pytest.approx(-0.4, abs=4 / 200_000**0.5)
    assert logits.std() == pytest.approx(1.0, abs=4 / (2 * 200_000) ** 0.5)


def test_the_deployed_interval_is_almost_never_drawn_by_itself():
    r, t = TimeSampling(p_equal=0.0).sample(200_000, LIKE, torch.Generator().manual_seed(0))
    assert ((t > 0.95) & (r < 0.05)).double().mean() < 1e-4


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"p_equal": 1.5}, "p_equal"),
        ({"p_end": -0.1}, "p_end"),
        ({"distribution": "unifrom"}, "'uniform'"),
    ],
)
def test_time_options_out_of_range_are_refused(options, word):
    with pytest.raises(ConfigError, match=word):
        TimeSampling(**options)


def test_power_zero_is_the_mean_square():
    residual = torch.randn(8, 4, 2, dtype=torch.float64)
    assert torch.equal(Weighting(power=0.0).loss(residual), residual.square().mean(dim=(1, 2)))


@pytest.mark.parametrize(("power", "fixed_point"), [(0.0, 0.40), (0.5, 0.70), (1.0, 0.90)])
def test_power_moves_the_fit_from_mean_to_mode(power, fixed_point):
    """70/30 modes at ±1 with noise 0.7 in 16 dimensions: where the weighted fit settles."""
    generator = torch.Generator().manual_seed(0)
    sign = torch.where(torch.rand(50_000, 1, 1, generator=generator) < 0.7, 1.0, -1.0)
    target = sign + 0.7 * torch.randn(50_000, 16, 1, generator=generator)
    weighting = Weighting(power=power, reduction="sum", constant=1e-2)
    fit = torch.zeros((), requires_grad=True)
    for _ in range(60):
        (slope,) = torch.autograd.grad(weighting.loss(fit - target).mean(), fit)
        scale = (2 * 16 / ((fit - target).square().sum(dim=1) + 1e-2) ** power).mean()
        fit = (fit - slope / scale).detach().requires_grad_()
    assert float(fit.detach()) == pytest.approx(fixed_point, abs=0.03)


def test_the_adaptive_weight_carries_no_gradient():
    residual = torch.randn(5, 2, 2, dtype=torch.float64, requires_grad=True)
    loss = Weighting(power=1.0, constant=0.1).loss(residual)
    (gradient,) = torch.autograd.grad(loss.sum(), residual)
    distance = residual.detach().square().mean(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(gradient, 2 * residual.detach() / 4 / (distance + 0.1))


SPREADING = [kind for kind in KINDS if kind != "none"]


@pytest.fixture
def features():
    return torch.randn(12, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", SPREADING)
def test_order_of_rows_is_no_matter(kind, features):
    term = Dispersive(kind=kind)
    torch.testing.assert_close(term.loss([features]), term.loss([features.flip(0)]))


@pytest.mark.parametrize("kind", ["info_nce_l2", "cosine", "hinge"])
def test_a_closer_pair_is_pushed_harder(kind):
    """Two pairs on opposite sides of a circle: the push per change of squared distance."""
    near, far = 0.3, 0.9
    angles = torch.tensor([-near / 2, near / 2, math.pi - far / 2, math.pi + far / 2])
    angles.requires_grad_()
    points = torch.stack([angles.cos(), angles.sin()], dim=1)
    (slope,) = torch.autograd.grad(Dispersive(kind=kind).loss([points]), angles)
    assert slope[0] > 0 > slope[1]
    assert -slope[1] / math.sin(near) > -slope[3] / math.sin(far)


@pytest.mark.parametrize("kind", ["reference", "cosine", "covariance"])
def test_some_kinds_are_blind_to_scale(kind, features):
    term = Dispersive(kind=kind)
    torch.testing.assert_close(
        term.loss([features]), term.loss([features * 10]), rtol=1e-4, atol=1e-5
    )


def test_info_nce_falls_as_features_spread(features):
    term = Dispersive(kind="info_nce_l2")
    assert term.loss([2 * features]) < term.loss([features])


def test_the_reference_form_is_bounded_and_survives_equal_rows(features):
    term = Dispersive(kind="reference", temperature=0.5)
    assert -2 <= term.loss([features]) <= 0
    same = torch.ones(4, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(term.loss([same]), same)
    assert slope.isfinite().all()


def test_reference_form_by_hand():
    z = torch.tensor([[0.0], [1.0], [3.0]])
    distance = (z - z.T).square()
    by_hand = torch.exp(-distance / 9 / 0.7).mean().log()
    torch.testing.assert_close(Dispersive(kind="reference", temperature=0.7).loss([z]), by_hand)


def test_near_frames_of_an_episode_are_left_out():
    z = torch.tensor([[0.0], [0.1], [5.0]])
    gap = torch.tensor([[0, 1, -1], [1, 0, -1], [-1, -1, 0]])
    term = Dispersive(kind="info_nce_l2", near_steps=1)
    pairs = torch.tensor([25.0, 25.0, 4.9**2, 4.9**2])
    by_hand = torch.logsumexp(-pairs, 0) - math.log(4)
    torch.testing.assert_close(term.loss([z], gap), by_hand)


def test_a_single_row_has_nothing_to_spread():
    for kind in SPREADING:
        assert Dispersive(kind=kind).loss([torch.ones(1, 3)]) == 0


def test_layers_add_up(features):
    term = Dispersive(kind="cosine")
    both = term.loss([features, features[:, :2]])
    torch.testing.assert_close(both, term.loss([features]) + term.loss([features[:, :2]]))


def test_an_unknown_kind_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="'hinge'"):
        Dispersive(kind="hinges")


def test_a_network_without_hidden_layers_has_nothing_to_spread():
    with pytest.raises(ConfigError, match="needs a hidden layer.*source=encoder"):
        Dispersive(kind="cosine").loss([])
