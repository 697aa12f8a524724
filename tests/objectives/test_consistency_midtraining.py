"""Mid-training, distillation, bootstrap: the target of each phase, and when each is."""

import pytest
import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives import ConditionalVelocity, ConsistencyMidTraining, MeanFlow
from mfpolicy.objectives.consistency_midtraining import Phases
from mfpolicy.objectives.teacher import Taught
from oracles.draws import MU, SIGMA, curved, taught, weights
from oracles.finite_set import FiniteSet
from oracles.gaussian import Gaussian, GaussianNetwork

ORACLE = Gaussian(MU, SIGMA)


def _build(*, progress: float, **options) -> ConsistencyMidTraining:
    objective = ConsistencyMidTraining(**options)
    objective.progress = progress
    return objective


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _noise(rows: int) -> torch.Tensor:
    return torch.randn(rows, 1, 1, dtype=torch.float64, generator=_seeded())


def test_the_paths_hold_the_average_velocity_up_to_their_step():
    errors = []
    for steps in (16, 64, 256):
        at = _build(progress=0, path_steps=steps).on_paths(taught(ORACLE), _noise(400), _seeded(1))
        errors.append((at.v - ORACLE(at.z, at.r, at.t)).abs().mean())
    assert errors[0] < 0.05
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.25)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.25)


def test_so_they_do_on_two_modes():
    modes = FiniteSet(torch.tensor([-1.0, 1.0], dtype=torch.float64).view(2, 1, 1))
    errors = []
    for steps in (32, 128):
        objective = _build(progress=0, path_steps=steps, time={"p_end": 0.0})
        at = objective.on_paths(Taught(modes, modes), _noise(200), _seeded(1))
        inner = at.r > 0.1  # nearer to the data the flow is stiff
        exact = modes(at.z[inner], at.r[inner], at.t[inner])
        errors.append((at.v[inner] - exact).abs().mean())
    assert errors[1] < 0.35 * errors[0]


def test_every_interval_of_the_grid_is_drawn_alike_and_the_deployed_one_more_often():
    rows, steps = 40_000, 4
    e = torch.zeros(rows, 1, 1, dtype=torch.float64)
    for p_end in (0.0, 0.25):
        objective = _build(progress=0, path_steps=steps, time={"p_end": p_end})
        at = objective.on_paths(taught(ORACLE), e, _seeded())
        assert (at.r < at.t).all()
        pairs = torch.stack([at.r, at.t], dim=1).mul(steps)
        assert torch.equal(pairs, pairs.round())
        seen, counts = pairs.unique(dim=0, return_counts=True)
        assert len(seen) == steps * (steps + 1) // 2
        shares = torch.full((len(seen),), (1 - p_end) / len(seen))
        whole = (seen == torch.tensor([0.0, steps])).all(dim=1)
        shares[whole] += p_end
        assert ((counts / rows - shares).abs() < 4 * (shares / rows).sqrt()).all()


def test_intervals_and_paths_of_a_row_belong_together():
    objective = _build(progress=0, path_steps=1)
    e = _noise(20)
    at = objective.on_paths(taught(ORACLE), e, _seeded())
    ones = torch.ones(20, dtype=e.dtype)
    assert torch.equal(at.z, e)
    torch.testing.assert_close(at.v, ORACLE.velocity(e, ones))


def test_the_teacher_is_asked_down_to_the_end_of_each_interval_and_no_further():
    asked = []

    class Counting(GaussianNetwork):
        def features(self, z, r, t, prepared):
            asked.append(len(z))
            return super().features(z, r, t, prepared)

    mean = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    teacher = ConditionalVelocity(Counting(SIGMA), mean)
    velocity = ConditionalVelocity(GaussianNetwork(SIGMA), mean, teacher=teacher)
    at = _build(progress=0).on_paths(velocity, _noise(60), _seeded())
    last = ((1 - at.r) * 16).round()
    assert asked == [n for n in (int((last > step).sum()) for step in range(16)) if n]
    closed = Taught(ORACLE, Gaussian(mean[:, :, None], SIGMA))
    same = _build(progress=0).on_paths(closed, _noise(60), _seeded())
    torch.testing.assert_close(at.z, same.z)
    torch.testing.assert_close(at.v, same.v)


def test_mid_training_is_a_plain_regression_on_the_paths():
    objective = _build(progress=0.1)
    velocity = taught(curved(weights().detach()))
    loss, diagnostics = objective.loss(velocity, _noise(50), _seeded(3))
    generator = _seeded(3)
    e = objective.noise.draw_like(_noise(50), generator)
    at = objective.on_paths(velocity, e, generator)
    torch.testing.assert_close(loss, (velocity(at.z, at.r, at.t) - at.v).square().mean())
    assert diagnostics["phase"] == 0


def test_mid_training_needs_no_data():
    objective = _build(progress=0.1)
    losses = [
        objective.loss(taught(ORACLE), torch.full((50, 1, 1), value), _seeded())[0]
        for value in (0.0, 7.0)
    ]
    assert losses[0] == losses[1]


def _velocity_of(objective: ConsistencyMidTraining, seed: int = 1):
    actions = ORACLE.sample((50, 1, 1), _seeded())
    velocity = taught(curved(weights().detach()))
    return objective.draw(velocity, actions, _seeded(seed)), actions


def test_distillation_is_meanflow_along_the_teachers_velocity():
    at, _ = _velocity_of(_build(progress=0.5))
    torch.testing.assert_close(at.v, ORACLE.velocity(at.z, at.t))


def test_bootstrap_is_meanflow_without_a_teacher():
    phases = {"midtraining": 0.2, "bootstrap": 0.3}
    objective = _build(progress=0.9, phases=phases, weighting={"power": 0.5})
    assert not objective.needs_teacher
    assert objective.teacher is not None
    actions = ORACLE.sample((50, 1, 1), _seeded())
    alone = curved(weights().detach())
    loss, diagnostics = objective.loss(alone, actions, _seeded(1))
    reduction = {"power": 0.5, "constant": 3e-2, "reduction": "sum"}
    meanflow = MeanFlow(
        derivative="finite_difference",
        time={"distribution": "uniform", "p_equal": 0.75, "p_end": 0.1},
        weighting=reduction,
    )
    torch.testing.assert_close(loss, meanflow.loss(alone, actions, _seeded(1))[0])
    assert diagnostics["phase"] == 2


def test_on_the_teachers_flow_loss_and_gradient_of_distillation_vanish():
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    right = taught(lambda z, r, t: scale * ORACLE(z, r, t))
    actions = ORACLE.sample((200, 1, 1), _seeded())
    for derivative, bound in (("jvp", 1e-12), ("finite_difference", 1e-3)):
        objective = _build(progress=0.5, derivative=derivative, weighting={"power": 0.0})
        loss, _ = objective.loss(right, actions, _seeded(1))
        (gradient,) = torch.autograd.grad(loss, scale)
        assert loss < bound**2 + 1e-12
        assert gradient.abs() < bound


def test_the_difference_is_close_to_the_exact_derivative():
    """At the released code's step, apart from rows near t = 1 or r, where it is one-sided."""
    at, _ = _velocity_of(_build(progress=0.5, time={"p_equal": 0.0, "p_end": 0.0}))
    velocity = curved(weights().detach())
    inner = (at.t < 0.99) & (at.t - at.r > 0.01)
    exact, close = (
        MeanFlow(derivative=how).target(velocity, at.z, at.r, at.t, at.v)[inner]
        for how in ("jvp", "finite_difference")
    )
    assert (close - exact).norm() < 1e-3 * exact.norm()


@pytest.mark.parametrize(
    ("midtraining", "bootstrap", "expected"),
    [
        (0.25, 0.0, ["midtraining", "distillation", "distillation", "distillation"]),
        (0.0, 0.0, ["distillation"] * 4),
        (0.0, 0.5, ["distillation", "distillation", "bootstrap", "bootstrap"]),
        (1.0, 0.0, ["midtraining"] * 3 + ["distillation"]),
        (0.5, 0.5, ["midtraining", "midtraining", "bootstrap", "bootstrap"]),
    ],
)
def test_phases_are_shares_of_training(midtraining, bootstrap, expected):
    phases = Phases(midtraining=midtraining, bootstrap=bootstrap)
    assert [phases.at(progress) for progress in (0.0, 0.3, 0.5, 1.0)] == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"phases": {"midtraining": 0.7, "bootstrap": 0.4}}, "their sum is at most 1"),
        ({"phases": {"distillation": 0.4}}, "no option of this name"),
        ({"path_steps": 0}, "path_steps must be in"),
        ({"path_steps": 2.5}, "path_steps must be a whole number"),
        ({"guidance": {"kind": "cfg"}}, "no option of this name"),
    ],
)
def test_what_is_not_defined_is_refused(options, words):
    from mfpolicy import objectives

    with pytest.raises(ConfigError, match=words):
        objectives.build("consistency_midtraining", **options)
