"""Distillation: both forms have the teacher's average velocity as their noiseless fixed point."""

import pytest
import torch

from mfpolicy.errors import ConfigError
from mfpolicy.networks import UNet1D
from mfpolicy.objectives import ConditionalVelocity, FlowMapDistillation, MeanFlow
from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.derivative import central_start_derivative, forward_start_derivative
from mfpolicy.objectives.teacher import Taught
from oracles.draws import MU, SIGMA, curved, draw, taught, weights
from oracles.finite_set import FiniteSet
from oracles.gaussian import Gaussian, GaussianNetwork

ORACLE = Gaussian(MU, SIGMA)
FORMS = ("eulerian", "lagrangian")
PLAIN = {"weighting": {"power": 0.0}}


def _build(form: str, *, progress: float = 1.0, **options) -> FlowMapDistillation:
    objective = FlowMapDistillation(form=form, **options)
    objective.progress = progress
    return objective


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _target(objective: FlowMapDistillation, velocity, z, r, t) -> torch.Tensor:
    v = objective.along(velocity, z, r, t, torch.full_like(z, torch.nan))
    return objective.target(velocity, z, r, t, v)


@pytest.mark.parametrize("form", FORMS)
def test_on_the_teachers_flow_the_target_is_the_average_velocity(form):
    z, r, t, _ = draw(300)
    r[::5] = t[::5]
    target = _target(_build(form), taught(ORACLE), z, r, t)
    torch.testing.assert_close(target, ORACLE(z, r, t), rtol=0, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_so_it_is_on_two_modes(form):
    z, r, t, _ = (value[:100] for value in draw(100))
    r, t = r.clamp(min=0.1), t.clamp(min=0.2)
    r = r.minimum(t)
    modes = FiniteSet(torch.tensor([-1.0, 1.0], dtype=torch.float64).view(2, 1, 1))
    target = _target(_build(form), Taught(modes, modes), z, r, t)
    torch.testing.assert_close(target, modes(z, r, t), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("time", [{}, {"p_equal": 0.0}])
@pytest.mark.parametrize("form", FORMS)
def test_loss_and_gradient_vanish_where_the_student_is_right(form, time):
    objective = _build(form, time=time)
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    actions = ORACLE.sample((200, 1, 1), _seeded())
    right = taught(lambda z, r, t: scale * ORACLE(z, r, t))
    loss, _ = objective.loss(right, actions, _seeded(1))
    (gradient,) = torch.autograd.grad(loss, scale)
    assert loss < 1e-12
    assert gradient.abs() < 1e-6
    wrong, _ = objective.loss(taught(curved(weights().detach())), actions, _seeded(1))
    assert wrong > 1e-2


def test_eulerian_is_meanflow_along_the_teachers_velocity_weighted_by_the_interval():
    """Row by row: gradient of AYF-EMD = (t − r) gradient of MeanFlow with v := v_φ."""
    z, r, t, _ = draw(50)
    weight = weights()
    velocity = taught(curved(weight))
    u = velocity(z, r, t)
    meanflow = MeanFlow().target(curved(weight), z, r, t, ORACLE.velocity(z, t))
    flow_map = z - per_row(t - r, z) * u
    moved = torch.func.jvp(
        lambda z, t: z - per_row(t - r, z) * curved(weight.detach())(z, r, t),
        (z, t),
        (ORACLE.velocity(z, t), torch.ones_like(t)),
    )[1]  # df/dt, r fixed
    for row in range(0, 50, 10):
        emd = torch.autograd.grad(
            (2 * flow_map[row] * moved[row]).sum(), weight, retain_graph=True
        )[0]
        mf = torch.autograd.grad(
            (u[row] - meanflow[row]).square().sum(), weight, retain_graph=True
        )[0]
        torch.testing.assert_close(emd, (t - r)[row] * mf)
    objective = _build("eulerian", time={"p_equal": 0.0}, **PLAIN)
    actions = ORACLE.sample((50, 1, 1), _seeded())
    at = objective.draw(velocity, actions, _seeded(1))
    torch.testing.assert_close(at.v, ORACLE.velocity(at.z, at.t))
    target = MeanFlow().target(curved(weight), at.z, at.r, at.t, at.v)
    squares = (velocity(at.z, at.r, at.t) - target).square().flatten(1).mean(dim=1)
    loss, _ = objective.loss(velocity, actions, _seeded(1))
    torch.testing.assert_close(loss, ((at.t - at.r) * squares).mean())


def test_lagrangian_follows_the_start_of_the_interval():
    """Row by row: gradient of AYF-LMD, sign(s − t) fᵀ sg(df/ds − v_φ(f, s)), s = r."""
    z, r, t, _ = draw(50)
    weight = weights()
    u = curved(weight)(z, r, t)
    flow_map = z - per_row(t - r, z) * u
    frozen, moved = torch.func.jvp(
        lambda r: z - per_row(t - r, z) * curved(weight.detach())(z, r, t),
        (r,),
        (torch.ones_like(r),),
    )
    residual = moved - ORACLE.velocity(frozen, r)
    target = _target(_build("lagrangian"), taught(curved(weight.detach())), z, r, t)
    for row in range(0, 50, 10):
        lmd = torch.autograd.grad(
            (-2 * flow_map[row] * residual[row]).sum(), weight, retain_graph=True
        )[0]
        own = torch.autograd.grad((u[row] - target[row]).square().sum(), weight, retain_graph=True)[
            0
        ]
        torch.testing.assert_close(lmd, (t - r)[row] * own)


def test_rows_without_an_interval_learn_the_teachers_velocity_at_full_weight():
    for form in FORMS:
        objective = _build(form, time={"p_equal": 1.0}, **PLAIN)
        velocity = taught(curved(weights().detach()))
        actions = ORACLE.sample((50, 1, 1), _seeded())
        at = objective.draw(velocity, actions, _seeded(1))
        loss, _ = objective.loss(velocity, actions, _seeded(1))
        error = velocity(at.z, at.t, at.t) - ORACLE.velocity(at.z, at.t)
        torch.testing.assert_close(loss, error.square().mean())


def test_the_derivative_is_phased_in():
    z, r, t, _ = draw(50)
    velocity = taught(curved(weights().detach()))
    whole = _target(_build("eulerian"), velocity, z, r, t)
    v = ORACLE.velocity(z, t)
    for progress, share in ((0.0, 0.0), (0.1, 0.5), (0.2, 1.0), (0.7, 1.0)):
        objective = _build("eulerian", progress=progress, warm_up=0.2)
        torch.testing.assert_close(_target(objective, velocity, z, r, t), v + share * (whole - v))
    started = _build("eulerian", progress=0.0, warm_up=0.0)
    torch.testing.assert_close(_target(started, velocity, z, r, t), whole)


@pytest.mark.parametrize("form", FORMS)
def test_a_difference_finds_the_same_target(form):
    z, r, t, _ = draw(200)
    r, t = r.clamp(min=0.01, max=0.9), t.clamp(max=0.98)
    t = t.maximum(r + 0.02)
    velocity = taught(curved(weights().detach()))
    exact = _target(_build(form), velocity, z, r, t)
    for step, bound in ((5e-3, 1e-4), (5e-4, 1e-6)):
        objective = _build(form, derivative="finite_difference", derivative_step=step)
        close = _target(objective, velocity, z, r, t)
        assert (close - exact).norm() < bound * exact.norm()


def test_the_start_difference_stays_between_zero_and_t():
    z = torch.zeros(3, 1, 1, dtype=torch.float64)
    r = torch.tensor([0.0, 0.495, 0.2], dtype=torch.float64)
    t = torch.full_like(r, 0.5)
    asked = []

    def velocity(z, r, t):
        asked.append(r)
        return z + per_row(r, z) ** 2

    u, dudr = central_start_derivative(velocity, z, r, t, step=0.01)
    assert all(((start >= 0) & (start <= t)).all() for start in asked)
    torch.testing.assert_close(u[:, 0, 0], r**2)
    torch.testing.assert_close(dudr[:, 0, 0], 2 * r, rtol=0, atol=0.011)


def test_a_network_has_its_derivative_in_r_too():
    torch.manual_seed(0)
    network = UNet1D(action_dim=2, horizon=4, condition_dim=3, widths=(16, 16), time_dim=8).double()
    velocity = ConditionalVelocity(network, network.prepare(torch.rand(6, 3).double()))
    z = torch.randn(6, 4, 2, dtype=torch.float64)
    r, t = torch.rand(2, 6, dtype=torch.float64).sort(dim=0).values
    with torch.no_grad():
        u, dudr = forward_start_derivative(velocity, z, r, t)
        close_u, close = central_start_derivative(velocity, z, r, t, step=1e-5)
    torch.testing.assert_close(u, close_u)
    torch.testing.assert_close(dudr, close, rtol=0, atol=1e-6)
    assert dudr.abs().max() > 1e-3


def test_lagrangian_asks_the_teacher_where_its_target_is_alone():
    """Once a row: at the student's z_r where r < t, at z where r = t."""
    asked = []

    class Watched(GaussianNetwork):
        def features(self, z, r, t, prepared):
            asked.append((len(z), t))
            return super().features(z, r, t, prepared)

    mean = torch.full((40, 1), MU).double()
    velocity = ConditionalVelocity(
        GaussianNetwork(SIGMA), mean, teacher=ConditionalVelocity(Watched(SIGMA), mean)
    )
    objective = _build("lagrangian", time={"p_equal": 0.25})
    actions = ORACLE.sample((40, 1, 1), _seeded())
    at = objective.draw(velocity, actions, _seeded(1))
    objective.target(velocity, at.z, at.r, at.t, at.v)
    assert [rows for rows, _ in asked] == [10, 30]
    assert torch.equal(asked[0][1], at.t[30:])
    assert torch.equal(asked[1][1], at.r[:30])


def test_guidance_is_that_of_the_teachers_velocity():
    """Under reference guidance the fixed point stays, since it mixes v_φ with u(z, t, t)."""
    objective = _build("eulerian", guidance={"kind": "reference", "omega": 2.0})
    actions = ORACLE.sample((50, 1, 1), _seeded())
    loss, _ = objective.loss(taught(ORACLE), actions, _seeded(1))
    assert loss < 1e-12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"form": "euler"}, "did you mean 'eulerian'"),
        ({"form": "lagrangian", "derivative": "discrete"}, "jvp or finite_difference"),
        ({"form": "lagrangian", "guidance": {"kind": "cfg"}}, "needs guidance.kind=none"),
        ({"guidance": {"kind": "cfg"}, "time": {"p_equal": 0.0}}, "needs time.p_equal above 0"),
        ({"warm_up": 2.0}, "warm_up must be in"),
        ({"coupling": {"kind": "c2ot"}}, "no option of this name"),
    ],
)
def test_what_is_not_defined_is_refused(options, words):
    from mfpolicy import objectives

    with pytest.raises(ConfigError, match=words):
        objectives.build("flow_map_distillation", **options)
