"""Tilting against its closed form: Gaussian data under a linear reward are Gaussian, moved."""

import pytest
import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.tilting import Tilting
from oracles.gaussian import Gaussian

MU, SIGMA, SLOPE = 0.3, 0.4, 1.5
ORACLE = Gaussian(MU, SIGMA)
TILTED = MU + SLOPE * SIGMA**2


def _reward(chunks: torch.Tensor) -> torch.Tensor:
    return SLOPE * chunks.sum((-2, -1))


def _noise(rows: int, particles: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, particles, 1, 1, dtype=torch.float64, generator=generator)


def _weighted(tilting: Tilting, rows: int) -> tuple[float, float, float, float]:
    """Mean, its standard error from the rows' own means, std, and mean effective share."""
    noise = _noise(rows, tilting.particles)
    chunks, log_weights = tilting.run(ORACLE, noise, _reward, torch.Generator().manual_seed(1))
    weights = log_weights.softmax(dim=1)
    x = chunks[:, :, 0, 0]
    means = (weights * x).sum(dim=1)
    second = (weights * x.square()).sum(dim=1).mean()
    mean = means.mean()
    effective = 1 / weights.square().sum(dim=1).mean() / tilting.particles
    std = float((second - mean**2) ** 0.5)
    return float(mean), float(means.std() / rows**0.5), std, float(effective)


@pytest.mark.parametrize("resample", [0.0, 0.9])
@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_weighted_particles_are_the_tilted_data(noise, resample):
    tilting = Tilting(particles=2000, steps=64, noise=noise, resample=resample)
    mean, error, std, _ = _weighted(tilting, rows=20)
    bias = 0.2 * noise / tilting.steps  # first order in the length of a step
    assert mean == pytest.approx(TILTED, abs=4 * error + bias)
    assert std == pytest.approx(SIGMA, abs=4 * error + bias)


def test_the_bias_of_finite_steps_falls_with_their_length():
    biases = [
        _weighted(Tilting(particles=4000, steps=steps), rows=20)[2] - SIGMA for steps in (4, 16)
    ]
    assert abs(biases[1]) < abs(biases[0]) / 2


def test_noise_keeps_the_weights_even():
    shares = [
        _weighted(Tilting(particles=2000, steps=16, noise=c, resample=0.0), rows=20)[3]
        for c in (0.0, 0.3, 1.0)
    ]
    assert shares == sorted(shares)
    assert shares[2] > shares[0] + 0.05


def test_weights_without_noise_are_the_rewards():
    noise = _noise(3, 5)
    chunks, log_weights = Tilting(particles=5, noise=0.0).run(ORACLE, noise, _reward)
    torch.testing.assert_close(chunks, MU + SIGMA * noise)
    torch.testing.assert_close(log_weights, _reward(chunks))


def test_without_the_weights_guidance_is_biased():
    chunks, _ = Tilting(particles=4000, steps=64, resample=0.0).run(
        ORACLE, _noise(10, 4000), _reward, torch.Generator().manual_seed(1)
    )
    assert float(chunks.mean()) < TILTED - 0.03


def test_a_row_is_drawn_by_weight_and_the_generator_decides():
    tilting, noise = Tilting(particles=50, steps=16), _noise(4000, 50)
    drawn = [
        tilting.sample(ORACLE, noise, _reward, torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[1], drawn[2])
    error = SIGMA / 4000**0.5
    assert float(drawn[0].mean()) == pytest.approx(TILTED, abs=4 * error + 0.02)
    assert drawn[0].shape == (4000, 1, 1)


def test_a_constant_reward_changes_no_weight():
    _, log_weights = Tilting(particles=64, steps=8).run(
        ORACLE, _noise(2, 64), lambda x: 3 + 0 * x.sum((-2, -1)), torch.Generator().manual_seed(1)
    )
    torch.testing.assert_close(log_weights, torch.full_like(log_weights, 3.0))


def test_a_reward_without_a_gradient_needs_no_noise():
    def positive(chunks):
        return (chunks > 0.3).double().sum((-2, -1))

    with pytest.raises(ConfigError, match=r"differentiable.*noise=0\.0"):
        Tilting(particles=4).run(ORACLE, _noise(2, 4), positive)
    chunks, log_weights = Tilting(particles=4, noise=0.0).run(ORACLE, _noise(2, 4), positive)
    assert torch.equal(log_weights, positive(chunks))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"particles": 0}, r"tilting\.particles must be in"),
        ({"particles": 2.5}, r"tilting\.particles must be a whole number"),
        ({"steps": 0}, r"tilting\.steps must be in"),
        ({"noise": -1.0}, r"tilting\.noise must be in"),
        ({"noise": float("nan")}, r"tilting\.noise must be in"),
        ({"resample": 2.0}, r"tilting\.resample must be in"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Tilting(**options)


def test_a_reward_must_be_finite_everywhere():
    with pytest.raises(ConfigError, match="4 NaN or infinite"):
        Tilting(particles=2, noise=0.0).run(
            ORACLE, _noise(2, 2), lambda chunks: chunks.sum((-2, -1)) / 0
        )
