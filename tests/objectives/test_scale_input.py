"""Improved MeanFlow's own options: a velocity head, and guidance as an input of the network."""

import pytest
import torch

from mfpolicy.errors import ConfigError
from mfpolicy.networks import Network
from mfpolicy.objectives import ConditionalVelocity, ImprovedMeanFlow, MeanFlow
from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.scale_input import ScaleInput
from oracles.draws import assert_no_mean
from oracles.gaussian import Gaussian
from oracles.guided import Guided

MU, NULL, SIGMA, ROWS = 0.3, -0.7, 0.4, 20_000
PLAIN = {"weighting": {"power": 0.0}}


class ScaledNetwork(Network):
    """The guided oracle at every scale: prepared are the mean, w, t_min and t_max, (B, 4).

    Args:
        shift: of u at r = t, so that it is not the head's velocity.
    """

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__(action_dim=1, horizon=1, condition_dim=1)
        self.shift = shift

    def prepare(self, condition):
        plain = condition.new_tensor([1.0, 0.0, 1.0]).expand(len(condition), 3)
        return torch.cat([condition, plain], dim=1)

    def guide(self, prepared, guidance):
        return torch.cat([prepared[:, :1], guidance], dim=1)

    def features(self, z, r, t, prepared):
        u = _oracle(z, prepared)(z, r, t)
        return u + self.shift * per_row(r == t, z), [z.flatten(1)]

    def with_velocity(self, z, r, t, prepared):
        return (*self.features(z, r, t, prepared)[:1], _oracle(z, prepared).velocity(z, t), [])


def _oracle(z: torch.Tensor, prepared: torch.Tensor) -> Guided:
    mean, w, low, high = (per_row(value, z) for value in prepared.T)
    return Guided(mean, w * mean + (1 - w) * NULL, low, high, sigma=SIGMA)


def _velocity(rows: int, **options) -> ConditionalVelocity:
    network = ScaledNetwork(**options)
    means = torch.full((rows, 1), MU, dtype=torch.float64)
    null = network.prepare(torch.tensor([[NULL]], dtype=torch.float64))
    return ConditionalVelocity(network, network.prepare(means), null=null)


class Watched(ImprovedMeanFlow):
    """Keeps what it regressed onto what."""

    def regress(self, at, target, *arguments, **options):
        self.seen = at, target
        return super().regress(at, target, *arguments, **options)


def _watched(drop: float = 0.0, **options) -> Watched:
    scale_input = {"active": True, "drop": drop, "max_scale": 4.0}
    time = {"distribution": "uniform"}
    return Watched(scale_input=scale_input, time=time, **PLAIN, **options)


def _data(rows: int = ROWS) -> torch.Tensor:
    return Gaussian(MU, SIGMA).sample((rows, 1, 1), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("velocity_head", [False, True])
def test_guidance_at_every_scale_is_the_fixed_point(velocity_head):
    """Data under w are N(w μ + (1 − w) μ_null, σ²), on the interval that the row was given."""
    objective = _watched(velocity_head=velocity_head)
    # with a head, u(z, t, t) is asked for nothing: it may be wrong
    velocity = _velocity(ROWS, shift=5.0 if velocity_head else 0.0)
    objective.loss(velocity, _data(), torch.Generator().manual_seed(1))
    at, target = objective.seen
    w = at.velocity.prepared[:, 1]
    assert float(w.min()) >= 1
    assert float(w.max()) <= 4
    residual = target - _oracle(at.z, at.velocity.prepared)(at.z, at.r, at.t)
    crossed = at.r < at.t
    assert residual[crossed].std() > 0.1
    for low, high in ((1, 1.5), (1.5, 2.5), (2.5, 4.1)):
        for chosen in (crossed, ~crossed):
            rows = chosen & (w >= low) & (w < high)
            assert_no_mean(residual[rows], given=at.z[rows])


@pytest.mark.parametrize(("scale", "interval"), [(1.0, (0, 1)), (2.5, (0, 1)), (3.0, (0.2, 0.8))])
def test_one_evaluation_arrives_at_the_mean_of_the_scale(scale, interval):
    low, high = interval
    objective = ImprovedMeanFlow(
        scale_input={"active": True, "scale": scale, "t_min": low, "t_max": high}
    )
    noise = torch.randn(50, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ends = ((1 - t) / ((1 - t) ** 2 * SIGMA**2 + t**2) ** 0.5 for t in interval)
    share = SIGMA * (next(ends) - next(ends))
    mean = MU + share * (scale * MU + (1 - scale) * NULL - MU)
    for asked in (None, scale):
        x = objective.sample(objective.at_scale(_velocity(50), asked), noise)
        torch.testing.assert_close(x, mean + SIGMA * noise)


def test_at_scale_one_the_loss_is_that_without_guidance():
    scale_input = {"active": True, "max_scale": 1.0, "drop": 0.0}
    guided = ImprovedMeanFlow(scale_input=scale_input, **PLAIN)
    plain = ImprovedMeanFlow(**PLAIN)
    losses = [
        objective.loss(_velocity(500), _data(500), torch.Generator().manual_seed(1))[0]
        for objective in (guided, plain)
    ]
    torch.testing.assert_close(*losses)


def test_rows_without_their_condition_are_flow_matching_of_the_null_branch():
    objective = _watched(drop=0.2)
    velocity = _velocity(ROWS)
    objective.loss(velocity, _data(), torch.Generator().manual_seed(1))
    plain = objective.draw(velocity, _data(), torch.Generator().manual_seed(1))
    at, target = objective.seen
    mean, w, low, high = at.velocity.prepared.T
    dropped = mean == NULL
    assert float(dropped.double().mean()) == pytest.approx(0.2, abs=4 * (0.16 / ROWS) ** 0.5)
    assert (at.r == at.t)[dropped].all()
    assert torch.equal(target[dropped], plain.v[dropped])
    assert (w[dropped] == 1).all()
    equal = at.r == at.t
    assert (low[equal] == 0).all()
    assert (high[equal] == 1).all()
    assert (low[~equal] <= 0.5).all()
    assert (high[~equal] >= 0.5).all()
    assert len(low[~equal].unique()) > 1000


def test_what_is_asked_is_what_is_trained():
    """Predictions at r = t are asked with the whole of time as their interval."""
    asked = []

    class Asked(ScaledNetwork):
        def features(self, z, r, t, prepared):
            if not torch.is_grad_enabled() and bool((r == t).all()):
                asked.append(prepared[:, 2:])
            return super().features(z, r, t, prepared)

    velocity = _velocity(200)
    velocity.network = Asked()
    _watched(drop=0.2).loss(velocity, _data(200), torch.Generator().manual_seed(1))
    assert len(asked) == 2
    for interval in asked:
        assert torch.equal(interval, interval.new_tensor([[0.0, 1.0]]).expand_as(interval))


@pytest.mark.parametrize(("power", "median"), [(0.0, 4.5), (1.0, 8**0.5), (2.0, 2 / (1 + 1 / 8))])
def test_scales_have_the_density_of_their_power(power, median):
    r = torch.zeros(40_000, dtype=torch.float64)
    w = ScaleInput(power=power).draw(r, r + 1, torch.Generator().manual_seed(0))[:, 0]
    assert float(w.min()) >= 1
    assert float(w.max()) <= 8
    below = float((w < median).double().mean())
    assert below == pytest.approx(0.5, abs=4 * 0.5 / 40_000**0.5)


class _Two(torch.nn.Module):
    """Two linear outputs of (z, r, t), their weights (2, 3)."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.tensor([[0.4, -0.2, 0.3], [0.7, 0.1, -0.4]], dtype=torch.float64)
        self.weight = torch.nn.Parameter(weight)

    def both(self, z, r, t):
        inputs = torch.stack([z[:, 0, 0], r, t])
        return tuple((row[:, None] * inputs).sum(dim=0)[:, None, None] for row in self.weight)

    def features(self, z, r, t, prepared):
        return self.both(z, r, t)[0], []

    def with_velocity(self, z, r, t, prepared):
        return (*self.both(z, r, t), [])

    def forward(self, z, r, t, prepared):
        return self.both(z, r, t)[0]


def test_the_head_adds_its_own_regression_and_gives_the_tangent():
    network, x = _Two(), _data(400)
    velocity = ConditionalVelocity(network, torch.zeros(400, 1).double())
    objective = ImprovedMeanFlow(velocity_head=True, **PLAIN)
    loss, diagnostics = objective.loss(velocity, x, torch.Generator().manual_seed(1))
    at = objective.draw(velocity, x, torch.Generator().manual_seed(1))
    u, v = network.both(at.z, at.r, at.t)
    path = network.both(at.z, at.t, at.t)[1].detach()
    a, _, c = network.weight[0].detach()
    target = at.v - per_row(at.t - at.r, x) * (a * path + c)  # du/dt of a linear u
    head = (v - at.v).square().mean()
    expected = (u - target).square().mean() + head
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(diagnostics["mse_velocity_head"], head.detach())
    found, by_hand = (torch.autograd.grad(y, network.weight)[0] for y in (loss, expected))
    torch.testing.assert_close(found, by_hand)
    assert (found[1] != 0).any()


@pytest.mark.parametrize("options", [{"velocity_head": True}, {"scale_input": {"active": True}}])
def test_a_closed_form_and_a_plain_network_are_refused(options):
    objective = ImprovedMeanFlow(**options)
    name = next(iter(options))
    with pytest.raises(ConfigError, match=f"{name} needs a conditional network"):
        objective.loss(Gaussian(MU, SIGMA), _data(8))

    class Plain(Network):
        def __init__(self):
            super().__init__(action_dim=1, horizon=1, condition_dim=1)

        def features(self, z, r, t, prepared):
            return z, []

    zeros = torch.zeros(8, 1).double()
    plain = ConditionalVelocity(Plain(), zeros, null=zeros[:1])
    with pytest.raises(ConfigError, match=f"build the network with {name}=True"):
        objective.loss(plain, _data(8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 9.0}, r"scale_input\.scale must be in \[1, 8"),
        ({"max_scale": 0.5}, r"scale_input\.max_scale must be in"),
        ({"t_min": 0.7}, r"scale_input\.t_min must be in"),
        ({"drop": -1.0}, r"scale_input\.drop must be in"),
        ({"interval": False, "t_max": 0.8}, r"only where it was trained"),
        ({"aktive": True}, r"did you mean 'active'"),
    ],
)
def test_options_without_a_meaning_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        ImprovedMeanFlow(scale_input=options)


def test_guidance_is_an_input_or_built_in():
    with pytest.raises(ConfigError, match="not both"):
        ImprovedMeanFlow(scale_input={"active": True}, guidance={"kind": "cfg", "omega": 2.0})


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (MeanFlow(), "takes it as an input"),
        (ImprovedMeanFlow(), "takes it as an input"),
        (ImprovedMeanFlow(scale_input={"active": True}), r"guidance_scale must be in \[1, 8"),
    ],
)
def test_scales_that_were_not_trained_are_refused(objective, message):
    with pytest.raises(ConfigError, match=message):
        objective.at_scale(_velocity(3), 12.0)
