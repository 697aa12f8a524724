"""Small networks trained with guidance reach the flow of the guided velocity in one evaluation."""

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.networks import Network
from mfpolicy.objectives import ConditionalVelocity
from oracles.gaussian import Gaussian

SPREAD, SIGMA, ROWS, STEPS = 0.6, 0.4, 512, 2400
PLAIN = {"weighting": {"power": 0.0}, "time": {"distribution": "uniform", "p_end": 0.1}}


class _Mlp(Network):
    """Prepared are the condition, whether it is the null one, and (w, t_min, t_max), (B, 5)."""

    def __init__(self) -> None:
        super().__init__(action_dim=1, horizon=1, condition_dim=1)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(8, 96),
            torch.nn.SiLU(),
            torch.nn.Linear(96, 96),
            torch.nn.SiLU(),
            torch.nn.Linear(96, 1),
        )

    def prepare(self, condition):
        plain = condition.new_tensor([0.0, 1.0, 0.0, 1.0]).expand(len(condition), 4)
        return torch.cat([condition, plain], dim=1)

    def guide(self, prepared, guidance):
        return torch.cat([prepared[:, :2], guidance], dim=1)

    def features(self, z, r, t, prepared):
        c, null, w, low, high = prepared.T
        inputs = torch.stack([z[:, 0, 0], r, t, c * (1 - null), null, 1 / w, low, high], dim=1)
        return self.layers(inputs)[:, None], []


def _velocity(network: _Mlp, c: torch.Tensor) -> ConditionalVelocity:
    null = torch.tensor([[0.0, 1.0, 1.0, 0.0, 1.0]])
    return ConditionalVelocity(network, network.prepare(c[:, None]), null=null)


def _train(objective: objectives.Objective) -> _Mlp:
    """On c ~ N(0, SPREAD²) and x ~ N(c, SIGMA²): the null branch has both variances."""
    torch.manual_seed(0)
    network = _Mlp()
    optimizer = torch.optim.Adam(network.parameters())
    generator = torch.Generator().manual_seed(0)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / STEPS)
        c = SPREAD * torch.randn(ROWS, generator=generator)
        x = c[:, None, None] + SIGMA * torch.randn(ROWS, 1, 1, generator=generator)
        loss, _ = objective.loss(_velocity(network, c), x, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def _guided_flow(e: torch.Tensor, c: torch.Tensor, w: float, t_min: float, t_max: float):
    """Where w v(z, t, c) + (1 − w) v(z, t) leads from the noise, by steps at their midpoints."""
    given = Gaussian(c[:, None, None], SIGMA)
    anyone = Gaussian(0.0, (SPREAD**2 + SIGMA**2) ** 0.5)

    def velocity(z, t):
        scale = w if t_min <= t <= t_max else 1.0
        times = torch.full((len(z),), t, dtype=z.dtype)
        return scale * given.velocity(z, times) + (1 - scale) * anyone.velocity(z, times)

    z, count = e, 200
    for step in range(count, 0, -1):
        t, h = step / count, 1 / count
        z = z - h * velocity(z - h / 2 * velocity(z, t - 1e-6), t - h / 2)
    return z


def _error(objective, network, w: float, interval, *, scale: float | None = None) -> float:
    """Mean distance of one evaluation from the flow guided by w, in units of SIGMA."""
    generator = torch.Generator().manual_seed(1)
    c = SPREAD * torch.randn(2000, generator=generator)
    e = torch.randn(2000, 1, 1, generator=generator)
    with torch.no_grad():
        x = objective.sample(objective.at_scale(_velocity(network, c), scale), e)
    return float((x - _guided_flow(e, c, w, *interval)).abs().mean()) / SIGMA


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "interval"), [("cfg", (0.0, 1.0)), ("interval", (0.15, 0.9))], ids=["cfg", "interval"]
)
def test_guidance_before_training(kind, interval):
    low, high = interval
    guidance = {"kind": kind, "omega": 2.0, "drop": 0.2, "t_min": low, "t_max": high}
    objective = objectives.build("meanflow", guidance=guidance, **PLAIN)
    network = _train(objective)
    right, unguided = (_error(objective, network, w, interval) for w in (2.0, 1.0))
    assert right < 0.25
    assert unguided > 1.5 * right


@pytest.mark.slow
def test_guidance_after_training():
    scale_input = {"active": True, "max_scale": 4.0, "drop": 0.2}
    objective = objectives.build("improved_meanflow", scale_input=scale_input, **PLAIN)
    network = _train(objective)
    scales = (1.0, 2.0, 3.0)
    for asked in scales:
        errors = {w: _error(objective, network, w, (0.0, 1.0), scale=asked) for w in scales}
        right = errors.pop(asked)
        assert right < 0.25
        assert min(errors.values()) > 1.5 * right
