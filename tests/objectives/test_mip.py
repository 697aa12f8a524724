"""MIP against the closed forms of its two evaluations."""

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.errors import ConfigError
from oracles.gaussian import Gaussian

MU, SIGMA, NOISE = 0.3, 0.4, 0.1


def _best_gaussian(z, r, t):
    """E[x] at t = 1, and E[x | x + NOISE n = z] at t = NOISE, for N(MU, SIGMA²)."""
    gain = torch.where(t == 1, 0.0, SIGMA**2 / (SIGMA**2 + NOISE**2))[:, None, None]
    return MU + gain * (z - MU)


def _two_modes(share: float):
    """The same for modes at ±1, the positive one with probability ``share``."""

    def network(z, r, t):
        odds = torch.logit(torch.tensor(share, dtype=z.dtype)) + 2 * z / NOISE**2
        first = torch.full_like(z, 2 * share - 1)
        return torch.where((t == 1)[:, None, None], first, 2 * torch.sigmoid(odds) - 1)

    return network


def test_gaussian_data_deploy_their_mean_alone():
    noise = torch.randn(2000, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sample = objectives.build("mip").sample(_best_gaussian, noise)
    torch.testing.assert_close(sample, torch.full_like(sample, MU))


def test_the_closed_form_minimises_the_loss():
    x = Gaussian(MU, SIGMA).sample((100_000, 1, 1), torch.Generator().manual_seed(0))
    objective = objectives.build("mip")

    def loss(shift: float, stretch: float) -> float:
        def network(z, r, t):
            return MU + shift + (1 + stretch) * (_best_gaussian(z, r, t) - MU)

        return float(objective.loss(network, x, torch.Generator().manual_seed(1))[0])

    best = loss(0, 0)
    for change in ((0.05, 0), (-0.05, 0), (0, 0.05), (0, -0.05)):
        assert loss(*change) > best
    variance = SIGMA**2 * NOISE**2 / (SIGMA**2 + NOISE**2)
    assert best == pytest.approx(SIGMA**2 / 0.9**2 + variance / NOISE**2, rel=0.02)


@pytest.mark.parametrize(("share", "mode"), [(0.7, 1.0), (0.3, -1.0), (0.55, 1.0)])
def test_unequal_modes_are_not_averaged(share, mode):
    """The regression gives 2 share - 1, in between; the correction goes to the likelier mode."""
    sample = objectives.build("mip").sample(_two_modes(share), torch.zeros(1, 1, 1).double())
    assert float(sample) == pytest.approx(mode, abs=0.01)


def test_equal_modes_are():
    sample = objectives.build("mip").sample(_two_modes(0.5), torch.zeros(1, 1, 1).double())
    assert float(sample) == pytest.approx(0, abs=1e-9)


def test_the_correction_is_asked_at_its_noise():
    asked = []

    def network(z, r, t):
        asked.append((float(t[0]), float(z.std())))
        return 0 * z

    objective = objectives.build("mip", t_star=0.8)
    objective.loss(network, torch.zeros(10_000, 1, 1), torch.Generator().manual_seed(0))
    (first, zero), (second, noise) = asked
    assert (first, zero) == (1, 0)
    assert second == pytest.approx(0.2)
    assert noise == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize("steps", [1, 3])
def test_it_has_two_evaluations(steps):
    with pytest.raises(ConfigError, match="steps of this Mip must be 2"):
        objectives.build("mip").sample(_best_gaussian, torch.zeros(1, 1, 1), steps)


def test_a_share_outside_its_range_is_refused():
    with pytest.raises(ConfigError, match="t_star must be in"):
        objectives.build("mip", t_star=1.0)
