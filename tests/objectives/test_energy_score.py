"""The energy score: its closed forms, its propriety, and one forward pass for all draws."""

import math

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.errors import ConfigError
from mfpolicy.objectives import ConditionalVelocity
from oracles.gaussian import Gaussian, GaussianNetwork

MU, SIGMA, NARROW = 0.3, 0.4, 0.05


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _as_velocity(sampler):
    """The velocity whose one step is x̂ = sampler(e)."""
    return lambda z, r, t: z - sampler(z)


def _two_modes(e: torch.Tensor) -> torch.Tensor:
    """±1 by the sign of e, and around them a normal from what its size says."""
    uniform = torch.special.ndtr(e.abs()) * 2 - 1
    return e.sign() + NARROW * torch.special.ndtri(uniform.clamp(1e-9, 1 - 1e-9))


def _absolute(mean: float, std: float) -> float:
    """E|N(mean, std²)|."""
    return std * math.sqrt(2 / math.pi) * math.exp(-0.5 * (mean / std) ** 2) + mean * math.erf(
        mean / std / math.sqrt(2)
    )


def _own(std: float) -> float:
    """½ E|x̂ − x̂'| of N(·, std²)."""
    return _absolute(0, std * math.sqrt(2)) / 2


BOTH = math.sqrt(2) * NARROW
SAMPLERS = {
    # name: sampler, score by hand, score as tabulated from a simulation
    "truth": (_two_modes, (_absolute(0, BOTH) + _absolute(2, BOTH)) / 4, 0.521),
    "wide": (lambda e: e, _absolute(1, math.hypot(1, NARROW)) - _own(1), 0.600),
    "mean": (lambda e: NARROW * e, _absolute(1, BOTH) - _own(NARROW), 0.972),
    "one mode": (
        lambda e: 1 + NARROW * e,
        (_absolute(0, BOTH) + _absolute(2, BOTH)) / 2 - _own(NARROW),
        0.998,
    ),
}


def _score(sampler, rows: int = 100_000, seed: int = 0, **options) -> tuple[float, float]:
    """Loss against two modes at ±1, and its standard error."""
    objective = objectives.build("energy_score", **options)
    values = []
    for part in range(20):
        generator = _generator(20 * seed + part)
        e = torch.randn(rows // 20, 1, 1, dtype=torch.float64, generator=generator)
        values.append(float(objective.loss(_as_velocity(sampler), _two_modes(e), generator)[0]))
    values = torch.tensor(values)
    return float(values.mean()), float(values.std() / 20**0.5)


@pytest.mark.parametrize("draws", [2, 4, 7])
@pytest.mark.parametrize("name", SAMPLERS)
def test_scores_are_those_of_the_closed_form(name, draws):
    sampler, by_hand, tabulated = SAMPLERS[name]
    score, error = _score(sampler, draws=draws)
    assert score == pytest.approx(by_hand, abs=4 * error)
    assert by_hand == pytest.approx(tabulated, abs=0.01)


def test_the_truth_scores_best():
    scores = {name: _score(sampler)[0] for name, (sampler, *_) in SAMPLERS.items()}
    assert scores["truth"] < scores["wide"] < scores["mean"] < scores["one mode"]


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5])
def test_at_the_truth_the_gradient_has_no_mean(beta):
    objective = objectives.build("energy_score", beta=beta)
    gradients = []
    for seed in range(200):
        weight = torch.tensor([MU, SIGMA], dtype=torch.float64, requires_grad=True)
        x = Gaussian(MU, SIGMA).sample((100, 1, 1), _generator(seed))
        velocity = _as_velocity(lambda e, w=weight: w[0] + w[1] * e)
        loss, _ = objective.loss(velocity, x, _generator(1000 + seed))
        gradients.append(torch.autograd.grad(loss, weight)[0])
    gradients = torch.stack(gradients)
    error = gradients.std(dim=0) / len(gradients) ** 0.5
    assert (gradients.mean(dim=0).abs() < 4 * error).all()
    assert (error < 0.01).all()


@pytest.mark.parametrize(("mu", "sigma"), [(0.5, 0.4), (0.3, 0.8), (0.3, 0.0)])
@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5])
def test_whatever_is_not_the_truth_scores_worse(mu, sigma, beta):
    objective = objectives.build("energy_score", beta=beta, draws=8)
    x = Gaussian(MU, SIGMA).sample((50_000, 1, 1), _generator())
    truth, other = (
        float(objective.loss(_as_velocity(lambda e, a=a, b=b: a + b * e), x, _generator(1))[0])
        for a, b in ((MU, SIGMA), (mu, sigma))
    )
    assert truth < other


def test_it_is_written_as_in_its_definition():
    """Eq. 1 of the module as two sums over the draws of each row."""
    m, beta = 5, 1.3
    x = torch.randn(6, 3, 2, dtype=torch.float64, generator=_generator())
    objective = objectives.build("energy_score", draws=m, beta=beta)
    sampler = _as_velocity(lambda e: torch.tanh(e) + 0.2)
    loss, diagnostics = objective.loss(sampler, x, _generator(1))
    e = torch.randn(m * 6, 3, 2, dtype=torch.float64, generator=_generator(1)).view(m, 6, 3, 2)
    samples = torch.tanh(e) + 0.2
    rows = []
    for b in range(6):
        near = sum((samples[k, b] - x[b]).norm() ** beta for k in range(m)) / m
        apart = sum(
            (samples[k, b] - samples[j, b]).norm() ** beta
            for k in range(m)
            for j in range(m)
            if j != k
        )
        rows.append(near - apart / (2 * m * (m - 1)))
    torch.testing.assert_close(loss, torch.stack(rows).mean())
    torch.testing.assert_close(loss, diagnostics["error"] - diagnostics["spread"] / 2)


def test_samples_that_coincide_have_a_finite_gradient():
    for beta in (0.5, 1.0, 1.9):
        weight = torch.zeros(2, requires_grad=True)
        velocity = _as_velocity(lambda e, w=weight: w[0] + w[1] * e)
        x = torch.zeros(8, 2, 1)
        loss, _ = objectives.build("energy_score", beta=beta).loss(velocity, x, _generator())
        (gradient,) = torch.autograd.grad(loss, weight)
        assert loss.isfinite()
        assert gradient.isfinite().all()


class _Counting(GaussianNetwork):
    calls = 0

    def features(self, z, r, t, prepared):
        self.calls += 1
        assert set(r.tolist()) == {0.0}
        assert set(t.tolist()) == {1.0}
        return super().features(z, r, t, prepared)


def test_a_network_takes_all_draws_in_one_pass_under_each_rows_condition():
    network = _Counting(0.0)
    conditions = torch.linspace(-1, 1, 10, dtype=torch.float64)[:, None]
    x = conditions[:, :, None]
    objective = objectives.build("energy_score", draws=6)
    loss, _ = objective.loss(ConditionalVelocity(network, conditions), x, _generator())
    assert network.calls == 1
    # the oracle without spread samples every row's own mean
    assert float(loss) == pytest.approx(0, abs=1e-12)
    apart, _ = objective.loss(ConditionalVelocity(network, conditions), x.flip(0), _generator())
    assert float(apart) == pytest.approx(float((x - x.flip(0)).abs().mean()))


def test_a_network_and_a_closed_form_score_alike():
    x = Gaussian(MU, SIGMA).sample((30, 1, 1), _generator())
    network = ConditionalVelocity(GaussianNetwork(SIGMA), torch.full((30, 1), MU).double())
    objective = objectives.build("energy_score")
    scores = [objective.loss(v, x, _generator(1))[0] for v in (network, Gaussian(MU, SIGMA))]
    torch.testing.assert_close(*scores)


def test_one_step_is_all_it_can_do():
    noise = torch.randn(50, 1, 1, dtype=torch.float64, generator=_generator())
    objective = objectives.build("energy_score")
    sample = objective.sample(Gaussian(MU, SIGMA), noise)
    torch.testing.assert_close(sample, MU + SIGMA * noise, rtol=0, atol=1e-9)
    with pytest.raises(ConfigError, match="steps of this EnergyScore must be 1"):
        objective.sample(Gaussian(MU, SIGMA), noise, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 2.0}, "beta must be above 0 and below 2"),
        ({"beta": 0.0}, "beta must be above 0 and below 2"),
        ({"draws": 1}, "draws must be in"),
        ({"draws": 2.5}, "draws must be a whole number"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        objectives.build("energy_score", **options)


@pytest.mark.parametrize("noise", [{"kind": "student_t", "degrees": 5.0}, {"kind": "bounded"}])
def test_the_score_takes_any_noise(noise):
    """With u = e − μ − σ e the samples are the noise itself, scaled; data of that kind fit best."""
    objective = objectives.build("energy_score", noise=noise)
    x = MU + SIGMA * objective.noise.draw((50_000, 1, 1), generator=_generator()).double()
    scores = {
        scale: float(
            objective.loss(_as_velocity(lambda e, s=scale: MU + s * e), x, _generator(1))[0]
        )
        for scale in (0.5 * SIGMA, SIGMA, 2 * SIGMA)
    }
    assert min(scores, key=scores.get) == SIGMA
