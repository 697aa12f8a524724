"""DDIM: levels, both samplers against diffusers' output and against Gaussian closed forms."""

import json
from pathlib import Path

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.errors import ConfigError
from mfpolicy.objectives.ddim import signal_levels

GOLDEN = json.loads((Path(__file__).parent / "ddim_golden.json").read_text(encoding="utf-8"))
MADE_BY = {"correct": "0.35.2", "legacy": "0.11.1"}


def _formula(z, r, t):
    """The network of benchmarks/ddim_golden.py."""
    return 1.3 * torch.tanh(0.8 * z + 0.3 * t[:, None, None])


@pytest.mark.parametrize("steps", [1, 3, 10, 30])
@pytest.mark.parametrize("sampler", ["correct", "legacy"])
def test_samples_are_those_of_diffusers(sampler, steps):
    golden = GOLDEN[MADE_BY[sampler]]
    noise = torch.tensor(golden["noise"], dtype=torch.float64)[:, None, None]
    expected = torch.tensor(golden["samples"][str(steps)], dtype=torch.float64)[:, None, None]
    sample = objectives.build("ddim", sampler=sampler).sample(_formula, noise, steps)
    # diffusers keeps its levels in float32.
    torch.testing.assert_close(sample, expected, rtol=0, atol=1e-5)


def test_both_versions_of_diffusers_differ():
    old, new = (torch.tensor(GOLDEN[MADE_BY[s]]["samples"]["10"]) for s in ("legacy", "correct"))
    assert (old - new).abs().max() > 0.1


def test_levels_have_their_published_values():
    levels = signal_levels(100)
    assert float(levels[0]) == pytest.approx(0.99937, abs=1e-5)
    assert float(levels[90]) == pytest.approx(0.019544, abs=1e-6)
    assert float(levels[99]) == pytest.approx(2.4e-7, rel=0.02)
    assert (levels.diff() < 0).all()


def _denoiser(mu: float, sigma: float):
    """E[x | z] at each level, for N(mu, sigma²)."""
    levels = signal_levels(100)

    def network(z, r, t):
        signal = levels[(100 * t).round().long()][:, None, None]
        gain = signal.sqrt() * sigma**2 / (signal * sigma**2 + 1 - signal)
        return mu + gain * (z - signal.sqrt() * mu)

    return network


def _moments(network, **options) -> tuple[float, float]:
    """Mean and deviation of the affine map that the sampler is for Gaussian data."""
    objective = objectives.build("ddim", clip=False, **options)
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)[:, None, None]
    low, high = objective.sample(network, ends, 10)[:, 0, 0].tolist()
    return low, abs(high - low)


@pytest.mark.parametrize(
    ("mu", "sigma", "sampler", "mean", "std"),
    [
        (0.5, 0.2, "correct", 0.4894, 0.1515),
        (0.5, 0.2, "legacy", 0.598, 0.0),
        (0.0, 0.4, "correct", 0.0, 0.341),
        (0.0, 0.4, "legacy", 0.0, 0.0),
        (0.5, 0.02, "correct", 0.4993, 0.0106),
        (0.5, 0.02, "legacy", 0.5053, 0.0),
    ],
)
def test_gaussian_data_come_out_with_their_known_bias(mu, sigma, sampler, mean, std):
    got = _moments(_denoiser(mu, sigma), sampler=sampler)
    assert got == pytest.approx((mean, std), abs=6e-4)


def test_both_samplers_commit_to_a_mode():
    levels = signal_levels(100)

    def network(z, r, t):
        signal = levels[(100 * t).round().long()][:, None, None]
        return 0.8 * torch.tanh(0.8 * signal.sqrt() * z / (1 - signal))

    noise = torch.randn(4000, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for sampler in ("correct", "legacy"):
        sample = objectives.build("ddim", sampler=sampler).sample(network, noise)
        near = ((sample.abs() - 0.8).abs() < 0.2).double().mean()
        assert near > 0.99
        assert (sample > 0).double().mean() == pytest.approx(0.5, abs=0.05)


def test_the_true_denoiser_minimises_the_loss():
    x = 0.3 + 0.4 * torch.randn(100_000, 1, 1, generator=torch.Generator().manual_seed(0)).double()
    objective, best = objectives.build("ddim"), _denoiser(0.3, 0.4)

    def loss(shift: float, stretch: float) -> float:
        def network(z, r, t):
            return 0.3 + shift + (1 + stretch) * (best(z, r, t) - 0.3)

        return float(objective.loss(network, x, torch.Generator().manual_seed(1))[0])

    for change in ((0.05, 0), (-0.05, 0), (0, 0.1), (0, -0.1)):
        assert loss(*change) > loss(0, 0)


def test_levels_are_fed_as_times_in_the_unit_interval():
    asked = []

    def network(z, r, t):
        asked.extend(t.tolist())
        return 0 * z

    objective = objectives.build("ddim")
    objective.sample(network, torch.zeros(1, 1, 1, dtype=torch.float64))
    assert asked == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
    asked.clear()
    objective.loss(network, torch.zeros(5000, 1, 1, dtype=torch.float64))
    assert sorted({round(100 * t) for t in asked}) == list(range(100))


def test_predictions_are_clipped_unless_told_not_to():
    noise = torch.zeros(1, 1, 1)
    assert float(objectives.build("ddim").sample(lambda z, r, t: 0 * z + 3, noise)) == 1
    free = objectives.build("ddim", clip=False)
    assert float(free.sample(lambda z, r, t: 0 * z + 3, noise)) == pytest.approx(3)


def test_more_steps_than_levels_are_refused():
    with pytest.raises(ConfigError, match="steps of this Ddim must be from 1 to 100"):
        objectives.build("ddim").sample(_formula, torch.zeros(1, 1, 1), 101)
    with pytest.raises(ConfigError, match="'legacy'"):
        objectives.build("ddim", sampler="legcy")
    with pytest.raises(ConfigError, match="train_steps must be a whole number"):
        objectives.build("ddim", train_steps=99.5)
