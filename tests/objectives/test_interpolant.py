"""Interpolants: derivatives, the identities they keep, and the samples they lead to."""

import math

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.errors import ConfigError
from mfpolicy.objectives import AverageVelocityObjective
from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.derivative import forward_derivative
from mfpolicy.objectives.interpolant import Interpolant
from mfpolicy.objectives.interval_target import interval_target, split_time
from oracles.draws import MU, SIGMA, assert_no_mean
from oracles.gaussian import Gaussian

PATHS = {
    "linear": Interpolant(),
    "trigonometric": Interpolant(kind="trigonometric"),
    "latent": Interpolant(latent=0.8),
    "trigonometric and latent": Interpolant(kind="trigonometric", latent=0.8),
}
HEADS = [
    name
    for name in objectives.names()
    if issubclass(cls := objectives.OBJECTIVES.get(name), AverageVelocityObjective)
    and "path" in objectives.OBJECTIVES.options(name)
    and not cls.needs_lines
]


class OnPath(Gaussian):
    """Gaussian data on any path: z_t is N(α μ, α² σ² + σ(t)² + γ²) and its flow is affine."""

    def __init__(self, path: Interpolant) -> None:
        super().__init__(MU, SIGMA)
        self.path = path

    def coefficients(self, t: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """α, σ, γ and their derivatives."""
        latent, slope = self.path.latent * t * (1 - t), self.path.latent * (1 - 2 * t)
        if self.path.kind == "linear":
            return 1 - t, t, latent, -torch.ones_like(t), torch.ones_like(t), slope
        alpha, noise = torch.cos(math.pi / 2 * t), torch.sin(math.pi / 2 * t)
        return alpha, noise, latent, -math.pi / 2 * noise, math.pi / 2 * alpha, slope

    def scale(self, t: torch.Tensor) -> torch.Tensor:
        alpha, noise, latent, *_ = self.coefficients(t)
        return (alpha**2 * self.sigma**2 + noise**2 + latent**2).sqrt()

    def velocity(self, z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        t = per_row(t, z)
        alpha, noise, latent, *slopes = self.coefficients(t)
        growth = alpha * slopes[0] * self.sigma**2 + noise * slopes[1] + latent * slopes[2]
        return slopes[0] * self.mu + growth / self.scale(t) ** 2 * (z - alpha * self.mu)

    def flow(self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        r, t = per_row(r, z), per_row(t, z)
        start, end = (self.coefficients(time)[0] * self.mu for time in (t, r))
        return end + self.scale(r) / self.scale(t) * (z - start)


@pytest.fixture(params=PATHS.values(), ids=PATHS)
def path(request):
    return request.param


def _normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _draw(path: Interpolant, rows: int) -> tuple[torch.Tensor, ...]:
    """(z, r, t, v) of Gaussian data on the path."""
    generator = torch.Generator().manual_seed(0)
    x, e = MU + SIGMA * _normal(rows, 1, 1, seed=1), _normal(rows, 1, 1, seed=2)
    t = 0.05 + 0.95 * torch.rand(rows, dtype=x.dtype, generator=generator)
    r = t * torch.rand(rows, dtype=x.dtype, generator=generator)
    z, v = path.at(x, e, t, generator)
    return z, r, t, v


def test_it_runs_from_data_to_noise(path):
    x, e = _normal(20, 4, 2, seed=1), _normal(20, 4, 2, seed=2)
    for time, end in ((0.0, x), (1.0, e)):
        z, _ = path.at(x, e, torch.full((20,), time, dtype=x.dtype))
        torch.testing.assert_close(z, end, rtol=0, atol=1e-12)


def test_the_velocity_is_the_derivative_in_time(path):
    x, e = _normal(20, 4, 2, seed=1), _normal(20, 4, 2, seed=2)
    t = torch.linspace(0, 1, 20, dtype=x.dtype)

    def place(t: torch.Tensor) -> torch.Tensor:
        return path.at(x, e, t, torch.Generator().manual_seed(3))[0]

    _, slope = torch.func.jvp(place, (t,), (torch.ones_like(t),))
    _, v = path.at(x, e, t, torch.Generator().manual_seed(3))
    torch.testing.assert_close(v, slope, rtol=0, atol=1e-12)


def test_the_trigonometric_path_keeps_unit_variance():
    x, e = _normal(50_000, 1, 1, seed=1), _normal(50_000, 1, 1, seed=2)
    for t in (0.1, 0.5, 0.8):
        z, _ = PATHS["trigonometric"].at(x, e, torch.full((len(x),), t, dtype=x.dtype))
        assert float(z.var()) == pytest.approx(1, abs=4 * (2 / len(x)) ** 0.5)


def test_the_oracle_is_the_mean_of_the_paths_velocity(path):
    z, _, t, v = _draw(path, 40_000)
    residual = v - OnPath(path).velocity(z, t)
    for low, high in ((0.05, 0.4), (0.4, 0.7), (0.7, 1)):
        rows = (t >= low) & (t < high)
        assert_no_mean(residual[rows], given=z[rows])


def test_the_identities_hold_along_any_path(path):
    z, r, t, _ = _draw(path, 400)
    oracle = OnPath(path)
    u, v = oracle(z, r, t), oracle.velocity(z, t)
    dudt = forward_derivative(oracle, z, r, t, v)
    torch.testing.assert_close(u, v - per_row(t - r, z) * dudt, rtol=0, atol=1e-9)
    first = oracle(z, split_time(r, t, 0.3), t)
    both = interval_target(oracle, z, r, t, first, 0.3)
    torch.testing.assert_close(both, u, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", HEADS)
def test_the_average_velocity_is_a_fixed_point_on_any_path(name, path):
    """The target's residual on the oracle is noise without a mean, given z."""
    exact = {
        "flow_anchored_consistency": {"clip": None},
        "shortcut": {"clip": 100.0, "time": {"grid": 2**16}},
    }
    objective = objectives.build(name, path=path, **exact.get(name, {}))
    objective.progress = 1.0
    z, r, t, v = _draw(path, 20_000)
    oracle = OnPath(path)
    target = objective.target(oracle, z, r, t, v, torch.Generator().manual_seed(1)).detach()
    for low, high in ((0.05, 0.4), (0.4, 0.7), (0.7, 1)):
        rows = (t >= low) & (t < high)
        assert_no_mean((target - oracle(z, r, t))[rows], given=z[rows])


@pytest.mark.parametrize("derivative", ["finite_difference", "discrete"])
def test_meanflows_differences_follow_bent_paths_too(derivative):
    path = PATHS["trigonometric"]
    z, r, t, v = _draw(path, 20_000)
    oracle = OnPath(path)
    gaps = []
    for step in (2e-2, 2e-3):
        objective = objectives.build(
            "meanflow", path=path, derivative=derivative, derivative_step=step
        )
        exact = objectives.build("meanflow", path=path).target(oracle, z, r, t, v)
        gaps.append(float((objective.target(oracle, z, r, t, v) - exact).abs().mean()))
    assert gaps[1] < 0.2 * gaps[0]
    assert gaps[1] < 5e-3


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_one_jump_of_the_exact_average_velocity_is_exact_on_any_path(path, steps):
    noise = _normal(500, 1, 1, seed=0)
    sample = objectives.build("meanflow", path=path).sample(OnPath(path), noise, steps)
    torch.testing.assert_close(sample, MU + SIGMA * noise, rtol=0, atol=1e-9)


def test_flow_matching_integrates_any_path_to_the_same_map(path):
    noise = _normal(50, 1, 1, seed=0)
    objective = objectives.build("flow_matching", path=path, solver="heun")
    errors = [
        float((objective.sample(OnPath(path), noise, n) - MU - SIGMA * noise).abs().max())
        for n in (50, 100)
    ]
    assert errors[1] < 5e-3
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.3)


def test_each_path_has_its_own_velocity(path):
    """Flow matching's loss is least for the velocity of the path it is drawn on."""
    x = Gaussian(MU, SIGMA).sample((100_000, 1, 1), torch.Generator().manual_seed(0))
    objective = objectives.build("flow_matching", path=path)
    losses = {
        name: float(objective.loss(OnPath(other), x, torch.Generator().manual_seed(1))[0])
        for name, other in PATHS.items()
    }
    assert PATHS[min(losses, key=losses.get)] == path


def test_why_alpha_flow_needs_straight_lines():
    """z_t − (t − s) v is the path's own point z_s on the straight path alone."""
    x, e = torch.full((1, 1, 1), 0.4).double(), torch.full((1, 1, 1), -1.1).double()
    t, s = torch.tensor([0.9]).double(), torch.tensor([0.4]).double()
    gaps = {}
    for name in ("linear", "trigonometric"):
        z, v = PATHS[name].at(x, e, t)
        gaps[name] = float((z - per_row(t - s, z) * v - PATHS[name].at(x, e, s)[0]).abs())
    assert gaps["linear"] < 1e-12
    assert gaps["trigonometric"] > 0.2
    for options in ({"kind": "trigonometric"}, {"latent": 0.1}):
        with pytest.raises(ConfigError, match="the first part of its intervals follows the line"):
            objectives.build("alpha_flow", path=options)


def test_only_straight_lines_from_independent_gaussian_noise_know_their_score():
    bent = [
        {"path": {"kind": "trigonometric"}},
        {"path": {"latent": 0.1}},
        {"noise": {"kind": "student_t"}},
        {"noise": {"kind": "bounded"}},
        {"coupling": {"kind": "c2ot"}},
        {"guidance": {"kind": "cfg"}},
    ]
    assert objectives.build("meanflow").learns_score
    assert not any(objectives.build("meanflow", **options).learns_score for options in bent)
