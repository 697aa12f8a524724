"""Every objective under every switch: it trains, or it says why it does not."""

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.errors import ConfigError
from mfpolicy.objectives import ConditionalVelocity
from mfpolicy.objectives.average_velocity import LineRegression
from mfpolicy.objectives.base import per_row
from oracles.draws import MU, SIGMA, taught
from oracles.gaussian import Gaussian, GaussianNetwork

ROWS = 16
SWITCHES = {
    "student_t": {"noise": {"kind": "student_t", "degrees": 8.0}},
    "clipped": {"noise": {"kind": "bounded", "edge": "clip"}},
    "reflected": {"noise": {"kind": "bounded", "edge": "reflect"}},
    "c2ot": {"coupling": {"kind": "c2ot"}},
    "optimal_transport": {"coupling": {"kind": "c2ot", "weight": 0.0}},
    "trigonometric": {"path": {"kind": "trigonometric"}},
    "latent": {"path": {"latent": 0.5}},
}
TAKES_LINES_ALONE = [
    name
    for name in objectives.names()
    if issubclass(cls := objectives.OBJECTIVES.get(name), LineRegression) and cls.needs_lines
]


def _actions() -> torch.Tensor:
    x = Gaussian(MU, SIGMA).sample((ROWS, 1, 1), torch.Generator().manual_seed(0))
    return x.clamp(-1, 1)


def _trains_one_step(objective: objectives.Objective, *, conditional: bool) -> None:
    """One step of gradient descent on a factor of the oracle, and of its conditions."""
    weight = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    if conditional:
        conditions = torch.linspace(0.5, 1.0, ROWS, dtype=torch.float64)[:, None]
        oracle = ConditionalVelocity(
            GaussianNetwork(SIGMA),
            weight * conditions,
            condition=conditions,
            teacher=ConditionalVelocity(GaussianNetwork(SIGMA), conditions),
        )
    else:
        oracle = taught(lambda z, r, t: weight * Gaussian(MU, SIGMA)(z, r, t))

    loss, _ = objective.loss(oracle, _actions(), torch.Generator().manual_seed(1))
    (slope,) = torch.autograd.grad(loss, weight)
    assert loss.isfinite()
    assert slope.isfinite()
    assert slope != 0


def _refusal(name: str, switch: str, *, conditional: bool) -> str | None:
    options = {"input_noise": "random"} if name == "regression" else {}
    try:
        objective = objectives.build(name, **options, **SWITCHES[switch])
        _trains_one_step(objective, conditional=conditional)
    except ConfigError as error:
        return str(error)
    return None


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("name", objectives.names())
def test_it_trains_or_refuses(name, switch, conditional):
    refusal = _refusal(name, switch, conditional=conditional)
    reasons = ("has no option of this name", "because", "needs")
    assert refusal is None or any(reason in refusal for reason in reasons)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("name", ["meanflow", "split_meanflow", "shortcut", "flow_matching"])
def test_what_needs_points_and_velocities_alone_trains_under_all(name, switch, conditional):
    _trains_one_step(objectives.build(name, **SWITCHES[switch]), conditional=conditional)


@pytest.mark.parametrize("switch", ["trigonometric", "latent"])
@pytest.mark.parametrize("name", TAKES_LINES_ALONE)
def test_what_needs_straight_lines_says_why(name, switch):
    reason = objectives.OBJECTIVES.get(name).needs_lines
    with pytest.raises(ConfigError, match="path.kind must be linear") as caught:
        objectives.build(name, **SWITCHES[switch])
    assert reason in str(caught.value)


def test_some_need_straight_lines():
    assert {"alpha_flow", "consistency_flow_matching"} <= set(TAKES_LINES_ALONE)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ddim", SWITCHES["clipped"], "leaves the box"),
        ("ddim", SWITCHES["trigonometric"], "no option of this name"),
        ("regression", SWITCHES["student_t"], "noise.kind must be gaussian with input_noise=zero"),
        ("mip", SWITCHES["student_t"], "no option of this name"),
        ("energy_score", SWITCHES["c2ot"], "no option of this name"),
        ("meanflow", {**SWITCHES["clipped"], **SWITCHES["trigonometric"]}, "leave the box"),
        ("meanflow", {"noise": {"kind": "students_t"}}, "did you mean 'student_t'"),
        ("meanflow", {"noise": {"degree": 3}}, "did you mean 'degrees'"),
        ("meanflow", {"noise": {"degrees": 2.0}}, "noise.degrees must be above 2"),
        ("meanflow", {"noise": {"bound": 0.5}}, "noise.bound must be in"),
        ("meanflow", {"noise": {"edge": "bounce"}}, "noise.edge must be one of"),
        ("meanflow", {"coupling": {"kind": "ot"}}, "coupling.kind must be one of"),
        ("meanflow", {"coupling": {"ratio": 0.0}}, "coupling.ratio must be in"),
        ("meanflow", {"coupling": {"weight": -1.0}}, "coupling.weight must be in"),
        ("meanflow", {"coupling": {"distance": "l1"}}, "coupling.distance must be one of"),
        ("meanflow", {"path": {"kind": "cosine"}}, "path.kind must be one of"),
        ("meanflow", {"path": {"latent": -1.0}}, "path.latent must be in"),
    ],
)
def test_what_is_not_defined_is_refused(name, options, message):
    with pytest.raises(ConfigError, match=message):
        objectives.build(name, **options)


@pytest.mark.parametrize("name", objectives.names())
def test_by_default_noise_is_normal_paired_as_drawn_on_straight_lines(name):
    """The formula of a draw, written out: the same bits for the same generator."""
    objective = objectives.build(name)
    if not isinstance(objective, LineRegression) or objective.needs_teacher:
        return
    x = torch.rand(ROWS, 4, 3, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    e = torch.randn(x.shape, generator=generator)
    r, t = objective.times(x, generator)
    at = objective.draw(lambda z, r, t: z, x, torch.Generator().manual_seed(1))
    assert torch.equal(at.z, (1 - per_row(t, x)) * x + per_row(t, x) * e)
    assert torch.equal(at.v, e - x)
    assert torch.equal(at.r, r)
    assert torch.equal(at.t, t)


def test_ddims_default_draw_is_normal_noise_and_a_level():
    x = torch.rand(ROWS, 4, 3, generator=torch.Generator().manual_seed(0))
    seen = []

    def watch(z, r, t):
        seen.append((z, t))
        return z

    objective = objectives.build("ddim")
    objective.loss(watch, x, torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    e = torch.randn(x.shape, generator=generator)
    level = torch.randint(100, (ROWS,), generator=generator)
    signal = per_row(objective.levels.to(x.dtype)[level], x)
    ((z, t),) = seen
    assert torch.equal(z, signal.sqrt() * x + (1 - signal).sqrt() * e)
    assert torch.equal(t, level / 100)
