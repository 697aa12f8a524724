"""Small networks trained with each baseline, or from a teacher, reach what closed forms say."""

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.objectives.ddim import signal_levels
from mfpolicy.objectives.teacher import Taught
from oracles.gaussian import Gaussian

MU, SIGMA, ROWS, STEPS = 0.3, 0.4, 512, 2000
CONSISTENCY, DELTA, BOUNDARY = "consistency_flow_matching", 0.02, 0.9


class _Mlp(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        sizes = (3, 64, 64)
        layers = []
        for before, after in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [torch.nn.Linear(before, after), torch.nn.SiLU()]
        self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(64, 1))

    def forward(self, z, r, t):
        return self.layers(torch.cat([z[:, 0], r[:, None], t[:, None]], dim=1))[:, None]


def _train(objective, draw) -> _Mlp:
    torch.manual_seed(0)
    network = _Mlp()
    optimizer = torch.optim.Adam(network.parameters())
    generator = torch.Generator().manual_seed(0)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / STEPS)
        objective.progress = step / STEPS
        velocity = Taught(network, Gaussian(MU, SIGMA))
        loss, _ = objective.loss(velocity, draw(generator), generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def _gaussian(generator: torch.Generator) -> torch.Tensor:
    return MU + SIGMA * torch.randn(ROWS, 1, 1, generator=generator)


def _two_points(generator: torch.Generator) -> torch.Tensor:
    return (torch.rand(ROWS, 1, 1, generator=generator) < 0.5).float() * 2 - 1


def _denoiser(z, r, t):
    signal = signal_levels(100).float()[(100 * t).round().long()][:, None, None]
    gain = signal.sqrt() * SIGMA**2 / (signal * SIGMA**2 + 1 - signal)
    return MU + gain * (z - signal.sqrt() * MU)


def _mean(z, r, t):
    return torch.full_like(z, MU)


def _euler_chain(z, r, t):
    """Consistency flow matching's fixed point: Euler steps of delta, the last one from 0.1 on."""
    x, now = z, t
    while (now > r + 1e-6).any():
        early = 1 - (now - DELTA) >= BOUNDARY
        h = torch.where(early, now - r, torch.minimum(now - r, torch.full_like(now, DELTA)))
        x, now = x - h[:, None, None] * Gaussian(MU, SIGMA).velocity(x, now), now - h
    return (z - x) / (t - r)[:, None, None]


EXACT = {
    CONSISTENCY: _euler_chain,
    "velocity": Gaussian(MU, SIGMA),
    "average_velocity": Gaussian(MU, SIGMA),
    "ddim": _denoiser,
    "regression": _mean,
    "mip": _mean,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("regression", {}, 0.05),
        ("mip", {}, 0.05),
        ("flow_matching", {}, 0.05),
        ("ddim", {"clip": False}, 0.05),
        (CONSISTENCY, {"delta": DELTA}, 0.05),
        (CONSISTENCY, {"delta": DELTA, "segments": 2}, 0.05),
        ("rectified_meanflow", {}, 0.05),
        ("flow_map_distillation", {"form": "eulerian"}, 0.05),
        # it still learns where its own jumps arrive
        ("flow_map_distillation", {"form": "lagrangian"}, 0.1),
        ("consistency_midtraining", {}, 0.05),
    ],
)
def test_gaussian_data_end_where_the_closed_form_ends(name, options, tolerance):
    objective = objectives.build(name, **options)
    network = _train(objective, _gaussian)
    noise = torch.randn(4000, 1, 1, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        sample = objective.sample(network, noise)
        exact = objective.sample(EXACT.get(name, EXACT.get(objective.predicts)), noise)
    assert float(sample.mean()) == pytest.approx(float(exact.mean()), abs=tolerance * SIGMA)
    assert float(sample.std()) == pytest.approx(float(exact.std()), abs=tolerance * SIGMA)
    assert (sample - exact).abs().mean() < 0.1 * SIGMA


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "share"),
    [("flow_matching", {}, 0.8), ("ddim", {}, 0.8), (CONSISTENCY, {"delta": 0.02}, 0.7)],
)
def test_both_modes_are_sampled(name, options, share):
    objective = objectives.build(name, **options)
    network = _train(objective, _two_points)
    noise = torch.randn(4000, 1, 1, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        sample = objective.sample(network, noise)
    assert ((sample.abs() - 1).abs() < 0.2).float().mean() > share
    assert 0.35 < (sample > 0).float().mean() < 0.65
