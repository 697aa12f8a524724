"""Guidance on Gaussian data, where what the guided flow arrives at is known in closed form."""

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.errors import ConfigError
from mfpolicy.networks import Network
from mfpolicy.objectives import AverageVelocityObjective, ConditionalVelocity
from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.guidance import Guidance
from oracles.draws import assert_no_mean
from oracles.gaussian import Gaussian
from oracles.guided import Guided

MU, NULL, SIGMA, SCALE = 0.3, -0.7, 0.4, 2.0
KINDS = [("cfg", 0.0, 1.0), ("interval", 0.2, 0.7), ("interval", 0.0, 0.5), ("interval", 0.4, 1.0)]
HEADS = [
    name
    for name in objectives.names()
    if issubclass(objectives.OBJECTIVES.get(name), AverageVelocityObjective)
    and "guidance" in objectives.OBJECTIVES.options(name)
]


class GuidedNetwork(Network):
    """The guided oracle as a network: the condition (B, 2) is the mean, and the guided mean."""

    def __init__(self, t_min: float, t_max: float) -> None:
        super().__init__(action_dim=1, horizon=1, condition_dim=2)
        self.interval = t_min, t_max

    def features(self, z, r, t, prepared):
        means = (per_row(value, z) for value in prepared.T)
        return Guided(*means, *self.interval, sigma=SIGMA)(z, r, t), [z.flatten(1)]


def _velocity(rows: int, t_min: float, t_max: float) -> ConditionalVelocity:
    guided = SCALE * MU + (1 - SCALE) * NULL
    return ConditionalVelocity(
        GuidedNetwork(t_min, t_max),
        torch.tensor([MU, guided], dtype=torch.float64).repeat(rows, 1),
        null=torch.tensor([[NULL, NULL]], dtype=torch.float64),
    )


def _draw(rows: int) -> tuple[torch.Tensor, ...]:
    """(z, r, t, v) of N(MU, SIGMA²) data."""
    generator = torch.Generator().manual_seed(0)
    x = Gaussian(MU, SIGMA).sample((rows, 1, 1), generator)
    e = torch.randn(x.shape, dtype=x.dtype, generator=generator)
    t = torch.rand(rows, dtype=x.dtype, generator=generator)
    r = t * torch.rand(rows, dtype=x.dtype, generator=generator)
    return (1 - per_row(t, x)) * x + per_row(t, x) * e, r, t, e - x


def test_the_guided_oracle_moves_along_its_velocity():
    """Its flow map against Runge–Kutta steps of its velocity, across both ends of the interval."""
    oracle = Guided(torch.tensor(MU).double(), torch.tensor(1.3).double(), 0.25, 0.75, sigma=SIGMA)
    z = torch.linspace(-2, 2, 9, dtype=torch.float64).view(9, 1, 1)
    zeros = torch.zeros(9, dtype=z.dtype)
    end = z
    for step in range(400, 0, -1):
        t, h = step / 400, 1 / 400
        # the middle of a step is never on an end of the interval
        k1 = oracle.velocity(end, zeros + t - 1e-9)
        k2 = oracle.velocity(end - h / 2 * k1, zeros + t - h / 2)
        end = end - h * k2
    torch.testing.assert_close(end, oracle.flow(z, zeros, zeros + 1), rtol=0, atol=1e-4)
    assert (end - Gaussian(MU, SIGMA).flow(z, zeros, zeros + 1)).abs().min() > 0.1


@pytest.mark.parametrize(("kind", "t_min", "t_max"), KINDS)
@pytest.mark.parametrize(("omega", "kappa"), [(2.0, 0.0), (1.0, 0.5)])
@pytest.mark.parametrize("name", HEADS)
def test_the_guided_flow_is_the_fixed_point(name, kind, t_min, t_max, omega, kappa):
    """Every target's residual on the guided oracle is noise without a mean, given z."""
    options = {
        "flow_anchored_consistency": {"clip": None},
        "shortcut": {"clip": 100.0, "time": {"grid": 2**16}},
    }
    guidance = {"kind": kind, "omega": omega, "kappa": kappa, "t_min": t_min, "t_max": t_max}
    objective = objectives.build(name, guidance=guidance, **options.get(name, {}))
    objective.progress = 1.0
    assert isinstance(objective, AverageVelocityObjective)
    z, r, t, v = _draw(20_000)
    velocity = _velocity(len(z), t_min, t_max)
    _, guided = objective.guidance.apply(velocity, z, r, t, v)
    assert bool((guided != v).any())
    residual = objective.target(velocity, z, r, t, guided, torch.Generator().manual_seed(1))
    residual = residual.detach() - velocity(z, r, t)
    for low, high in ((0.05, 0.4), (0.4, 0.7), (0.7, 1)):
        rows = (t >= low) & (t < high)
        assert_no_mean(residual[rows], given=z[rows])


@pytest.mark.parametrize(("kind", "t_min", "t_max"), KINDS)
def test_one_evaluation_arrives_at_the_guided_mean(kind, t_min, t_max):
    noise = torch.randn(50, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    objective = objectives.build("meanflow")
    x = objective.sample(_velocity(50, t_min, t_max), noise)
    guided = SCALE * MU + (1 - SCALE) * NULL
    start, end = ((1 - t) / ((1 - t) ** 2 * SIGMA**2 + t**2) ** 0.5 for t in (t_min, t_max))
    share = SIGMA * (start - end)  # of the guided mean; 1 on the whole of time
    mean = share * guided + (1 - share) * MU
    torch.testing.assert_close(x, mean + SIGMA * noise)
    assert (share == pytest.approx(1)) == (kind == "cfg")


def test_an_interval_of_all_times_is_classifier_free_guidance():
    z, r, t, v = _draw(500)
    r[::2] = t[::2]
    trained, guided = {}, {}
    for kind in ("cfg", "interval"):
        guidance = Guidance(kind=kind, omega=2.0, kappa=0.3)
        generator = torch.Generator().manual_seed(0)
        trained[kind], guided[kind] = guidance.apply(_velocity(500, 0, 1), z, r, t, v, generator)
    assert torch.equal(guided["cfg"], guided["interval"])
    assert torch.equal(trained["cfg"].prepared, trained["interval"].prepared)


def test_outside_the_interval_the_sampled_velocity_stays():
    z, r, t, v = _draw(500)
    guidance = Guidance(kind="interval", omega=2.0, t_min=0.3, t_max=0.6)
    _, guided = guidance.apply(_velocity(500, 0.3, 0.6), z, r, t, v)
    inside = (t >= 0.3) & (t <= 0.6)
    assert torch.equal(guided[~inside], v[~inside])
    assert (guided[inside] != v[inside]).all()


@pytest.mark.parametrize("kind", ["cfg", "interval"])
def test_a_closed_form_has_no_condition_to_drop(kind):
    z, r, t, v = _draw(5)
    with pytest.raises(ConfigError, match=rf"guidance\.kind={kind} needs a conditional network"):
        Guidance(kind=kind, omega=2.0).apply(Gaussian(MU, SIGMA), z, r, t, v)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "intervall"}, "did you mean 'interval'"),
        ({"kind": "interval", "t_min": 0.6, "t_max": 0.4}, r"guidance\.t_min must be in \[0, 0\.4"),
        ({"kind": "interval", "t_max": 1.4}, r"guidance\.t_max must be in"),
        ({"kind": "cfg", "t_max": 0.8}, r"guidance\.kind=cfg has no interval.*kind=interval"),
        ({"kind": "interval", "kappa": 1.0}, r"guidance\.kappa must be in"),
        ({"kind": "cfg", "omega": float("nan")}, r"guidance\.omega must be in"),
        ({"drop": 1.5}, r"guidance\.drop must be in"),
    ],
)
def test_options_without_a_meaning_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Guidance(**options)
