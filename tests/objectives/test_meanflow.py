"""MeanFlow against closed forms: identities, fixed points, gradients."""

import pytest
import torch

from mfpolicy.objectives import ConditionalVelocity, MeanFlow
from mfpolicy.objectives.base import per_row
from oracles.gaussian import Gaussian, GaussianNetwork

MU, SIGMA, ROWS = 0.3, 0.4, 200_000
PLAIN = {"weighting": {"power": 0.0}}


def _draw(rows: int, mu: float | torch.Tensor = MU) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    x = Gaussian(mu, SIGMA).sample((rows, 1, 1), generator)
    e = torch.randn(x.shape, dtype=x.dtype, generator=generator)
    t = torch.rand(rows, dtype=x.dtype, generator=generator)
    r = t * torch.rand(rows, dtype=x.dtype, generator=generator)
    z = (1 - per_row(t, x)) * x + per_row(t, x) * e
    return x, e, r, t, z


def _assert_no_mean(residual: torch.Tensor, *, given: torch.Tensor) -> None:
    """E[residual | given] = 0, tested against 1, z and z² within four standard errors."""
    for probe in (torch.ones_like(given), given, given**2):
        product = residual * probe
        error = product.std() / len(product) ** 0.5
        assert product.mean().abs() < 4 * error


def test_the_target_is_the_average_velocity_in_expectation():
    x, e, r, t, z = _draw(ROWS)
    oracle = Gaussian(MU, SIGMA)
    target = MeanFlow().target(oracle, z, r, t, e - x)
    residual = target - oracle(z, r, t)
    assert residual.std() > 0.1
    for low, high in ((0, 0.3), (0.3, 0.7), (0.7, 1)):
        rows = (t >= low) & (t < high)
        _assert_no_mean(residual[rows], given=z[rows])


def test_with_the_true_velocity_the_target_is_exact():
    _, _, r, t, z = _draw(1000)
    oracle = Gaussian(MU, SIGMA)
    target = MeanFlow().target(oracle, z, r, t, oracle.velocity(z, t))
    torch.testing.assert_close(target, oracle(z, r, t), rtol=0, atol=1e-9)


def test_a_network_and_a_closed_form_get_the_same_target():
    x, e, r, t, z = _draw(500)
    r[::3] = t[::3]
    network = ConditionalVelocity(GaussianNetwork(SIGMA), torch.full((500, 1), MU).double())
    by_rows = MeanFlow().target(network, z, r, t, e - x)
    whole = MeanFlow().target(Gaussian(MU, SIGMA), z, r, t, e - x)
    torch.testing.assert_close(by_rows, whole)
    assert torch.equal(by_rows[::3], (e - x)[::3])


def _linear(weight: torch.Tensor):
    return lambda z, r, t: z * weight[0] + per_row(t, z) * weight[1] + per_row(r, z) * weight[2]


def _gradient(loss: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.autograd.grad(loss, weight)[0]


def test_all_rows_equal_is_flow_matching():
    x, *_ = _draw(4000)
    weight = torch.tensor([0.4, -0.2, 0.3], dtype=x.dtype, requires_grad=True)
    objective = MeanFlow(time={"p_equal": 1.0}, **PLAIN)
    loss, _ = objective.loss(_linear(weight), x, torch.Generator().manual_seed(5))
    generator = torch.Generator().manual_seed(5)
    e = torch.randn(x.shape, dtype=x.dtype, generator=generator)
    _, t = objective.time.sample(len(x), x, generator)
    z = (1 - per_row(t, x)) * x + per_row(t, x) * e
    flow_matching = (_linear(weight)(z, t, t) - (e - x)).square().mean()
    torch.testing.assert_close(loss, flow_matching)
    torch.testing.assert_close(_gradient(loss, weight), _gradient(flow_matching, weight))


def test_the_gradient_takes_the_target_as_fixed():
    x, e, r, t, z = _draw(4000)
    weight = torch.tensor([0.4, -0.2, 0.3], dtype=x.dtype, requires_grad=True)
    objective = MeanFlow(time={"p_equal": 0.0}, **PLAIN)
    loss, _ = objective.loss(_linear(weight), x, torch.Generator().manual_seed(5))
    generator = torch.Generator().manual_seed(5)
    e = torch.randn(x.shape, dtype=x.dtype, generator=generator)
    r, t = objective.time.sample(len(x), x, generator)
    z = (1 - per_row(t, x)) * x + per_row(t, x) * e
    v = e - x
    w0, w1, _ = weight.detach()
    frozen = v - per_row(t - r, z) * (w0 * v + w1)
    by_hand = (_linear(weight)(z, r, t) - frozen).square().mean()
    torch.testing.assert_close(_gradient(loss, weight), _gradient(by_hand, weight))


def _conditional(mean: torch.Tensor, null: float) -> ConditionalVelocity:
    return ConditionalVelocity(
        GaussianNetwork(SIGMA), mean[:, None], null=torch.full((1, 1), null, dtype=torch.float64)
    )


@pytest.mark.parametrize("omega", [1.0, 2.0, 3.5])
def test_reference_guidance_scales_the_noise_and_moves_nothing(omega):
    x, e, r, t, z = _draw(ROWS)
    objective = MeanFlow(guidance={"kind": "reference", "omega": omega})
    oracle = Gaussian(MU, SIGMA)
    _, guided = objective.guidance.apply(oracle, z, r, t, e - x)
    residual = guided - oracle.velocity(z, t)
    _assert_no_mean(residual, given=z)
    torch.testing.assert_close(residual, omega * (e - x - oracle.velocity(z, t)))


@pytest.mark.parametrize(("omega", "kappa"), [(1.0, 0.0), (2.0, 0.0), (1.0, 0.5), (0.5, 0.8)])
def test_classifier_free_guidance_has_its_fixed_point(omega, kappa):
    """Guided data are N(w mu + (1 - w) mu_null, sigma²) with w = omega / (1 - kappa)."""
    x, e, r, t, z = _draw(ROWS)
    scale, null = omega / (1 - kappa), -0.7
    guided_mean = scale * MU + (1 - scale) * null
    velocity = _conditional(torch.full((ROWS,), guided_mean, dtype=torch.float64), null)
    objective = MeanFlow(guidance={"kind": "cfg", "omega": omega, "kappa": kappa, "drop": 0.0})
    _, v = objective.guidance.apply(velocity, z, r, t, e - x)
    target = objective.target(velocity, z, r, t, v)
    _assert_no_mean(target - velocity(z, r, t), given=z)


def test_dropped_rows_lose_condition_and_guidance():
    x, e, r, t, z = _draw(20_000)
    r[:10_000] = t[:10_000]
    velocity = _conditional(torch.full((20_000,), MU).double(), -0.7)
    guidance = MeanFlow(guidance={"kind": "cfg", "omega": 2.0, "drop": 0.1}).guidance
    trained, v = guidance.apply(velocity, z, r, t, e - x, torch.Generator().manual_seed(0))
    dropped = trained.prepared[:, 0] == -0.7
    assert not dropped[10_000:].any()
    assert dropped.double().mean() == pytest.approx(0.1, abs=4 * (0.1 * 0.9 / 20_000) ** 0.5)
    assert torch.equal(v[dropped], (e - x)[dropped])
    assert (v[~dropped] != (e - x)[~dropped]).all()


class _Mlp(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(3, 64),
            torch.nn.SiLU(),
            torch.nn.Linear(64, 64),
            torch.nn.SiLU(),
            torch.nn.Linear(64, 1),
        )

    def forward(self, z, r, t):
        inputs = torch.cat([z[:, 0], r[:, None], t[:, None]], dim=1)
        return self.layers(inputs)[:, None]


@pytest.mark.slow
@pytest.mark.parametrize("p_end", [0.0, 0.1])
def test_training_recovers_the_distribution_in_one_evaluation(p_end):
    torch.manual_seed(0)
    network = _Mlp()
    objective = MeanFlow(time={"p_end": p_end, "distribution": "uniform"}, **PLAIN)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    for step in range(2500):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - step / 2500)
        x = MU + SIGMA * torch.randn(512, 1, 1, generator=generator)
        loss, _ = objective.loss(network, x, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        sample = objective.sample(network, torch.randn(20_000, 1, 1, generator=generator))
    assert sample.mean() == pytest.approx(MU, abs=0.05 * SIGMA)
    assert sample.std() == pytest.approx(SIGMA, rel=0.05)
