"""Re-MeanFlow: the teacher's pairs, the lines that they make, and the times it trains at."""

import math

import pytest
import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives import ConditionalVelocity, RectifiedMeanFlow
from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.derivative import forward_derivative
from mfpolicy.objectives.rectified_meanflow import EndTimes
from mfpolicy.objectives.teacher import Taught
from oracles.draws import MU, SIGMA, curved, taught, weights
from oracles.gaussian import Gaussian, GaussianNetwork

ORACLE = Gaussian(MU, SIGMA)


def _straight(z, r, t):
    """The velocity of the lines from e to MU + SIGMA e, the same all along each."""
    t = per_row(t, z)
    e = (z - (1 - t) * MU) / ((1 - t) * SIGMA + t)
    return e - MU - SIGMA * e


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _noise(rows: int) -> torch.Tensor:
    return torch.randn(rows, 1, 1, dtype=torch.float64, generator=_seeded())


def _ends(objective: RectifiedMeanFlow, e: torch.Tensor) -> torch.Tensor:
    zeros, ones = torch.zeros(len(e), dtype=e.dtype), torch.ones(len(e), dtype=e.dtype)
    return objective.ends(taught(ORACLE), torch.full_like(e, 9.0), e, zeros, ones)[0]


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_an_exact_flow_gives_the_exact_coupling(solver, order):
    e = _noise(200)
    errors = []
    for evaluations in (64, 128, 256):
        pairs = {"solver": solver, "evaluations": evaluations}
        errors.append((_ends(RectifiedMeanFlow(pairs=pairs), e) - MU - SIGMA * e).abs().mean())
    assert errors[-1] < 0.02 / 4**order
    for coarse, fine in zip(errors[:-1], errors[1:], strict=True):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)


def test_the_lines_do_not_cross_so_the_velocity_has_no_noise_and_is_the_average_of_every_interval():
    objective = RectifiedMeanFlow(pairs={"evaluations": 512}, time={"p_equal": 0.3})
    actions = ORACLE.sample((300, 1, 1), _seeded(1))
    at = objective.draw(taught(_straight), actions, _seeded(2))
    torch.testing.assert_close(at.v, _straight(at.z, at.r, at.t), rtol=0, atol=1e-4)
    along = forward_derivative(_straight, at.z, at.r, at.t, _straight(at.z, at.r, at.t))
    torch.testing.assert_close(along, torch.zeros_like(along), rtol=0, atol=1e-9)
    target = objective.target(at.velocity, at.z, at.r, at.t, at.v)
    torch.testing.assert_close(target, at.v, rtol=0, atol=1e-3)


def test_the_straight_flow_is_a_fixed_point():
    """Zero loss and gradient, where MeanFlow's loss at its own keeps the noise of its target."""
    objective = RectifiedMeanFlow(pairs={"evaluations": 512}, weighting={"power": 0.0})
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    velocity = taught(lambda z, r, t: scale * _straight(z, r, t))
    loss, _ = objective.loss(velocity, _noise(300), _seeded(2))
    (gradient,) = torch.autograd.grad(loss, scale)
    assert loss < 1e-8
    assert gradient.abs() < 1e-4
    wrong, _ = objective.loss(taught(ORACLE), _noise(300), _seeded(2))
    assert wrong > 1e-2


def test_one_jump_after_the_reflow_is_the_teachers_flow():
    e = _noise(50)
    torch.testing.assert_close(RectifiedMeanFlow().sample(_straight, e), MU + SIGMA * e)


def test_the_farthest_pairs_are_dropped_and_the_loss_is_the_mean_of_the_others():
    options = {"weighting": {"power": 0.0}, "time": {"p_equal": 1.0}}
    cut = RectifiedMeanFlow(pairs={"kept": 0.75}, **options)
    velocity = taught(curved(weights().detach()))
    at = cut.draw(velocity, _noise(400), _seeded(2))
    distance = at.v.square().mean(dim=(1, 2))
    kept = at.weight > 0
    assert int(kept.sum()) == 300
    assert distance[kept].max() < distance[~kept].min()
    squares = (velocity(at.z, at.t, at.t) - at.v).square().mean(dim=(1, 2))
    loss, _ = cut.loss(velocity, _noise(400), _seeded(2))
    torch.testing.assert_close(loss, squares[kept].mean())
    whole = RectifiedMeanFlow(pairs={"kept": 1.0}, **options)
    assert whole.draw(velocity, _noise(400), _seeded(2)).weight is None


def test_rows_that_keep_their_demonstration_are_not_asked_of_the_teacher():
    seen = []

    class Counting(GaussianNetwork):
        def features(self, z, r, t, prepared):
            seen.append(len(z))
            return super().features(z, r, t, prepared)

    mean = torch.full((40, 1), MU).double()
    velocity = ConditionalVelocity(
        GaussianNetwork(SIGMA), mean, teacher=ConditionalVelocity(Counting(SIGMA), mean)
    )
    objective = RectifiedMeanFlow(pairs={"demonstrated": 0.5, "kept": 1.0}, time={"p_equal": 0.5})
    actions = torch.full((40, 1, 1), 5.0, dtype=torch.float64)
    at = objective.draw(velocity, actions, _seeded())
    assert seen == [30] * 16
    end = at.z - per_row(at.t, at.z) * at.v  # the line's data end
    torch.testing.assert_close(end[30:], actions[30:])
    assert (end[:30] < 4).all()


def test_each_row_is_paired_under_its_own_condition():
    mean = torch.linspace(-1, 1, 30, dtype=torch.float64)[:, None]
    teacher = ConditionalVelocity(GaussianNetwork(SIGMA), mean)
    e = _noise(30)
    objective = RectifiedMeanFlow(pairs={"evaluations": 256})
    x, _ = objective.ends(Taught(ORACLE, teacher), e, e, e[:, 0, 0], e[:, 0, 0])
    torch.testing.assert_close(x, mean[:, :, None] + SIGMA * e, rtol=0, atol=2e-3)


def test_times_lie_near_the_ends_and_few_but_many_enough_where_the_policy_is_deployed():
    rows = 200_000
    like = torch.zeros(1, dtype=torch.float64)
    r, t = EndTimes(p_equal=0.0).sample(rows, like, _seeded())
    assert ((r >= 0) & (r <= t) & (t <= 1)).all()
    error = 4 * 0.5 / rows**0.5
    for time in (0.1, 0.3, 0.5):
        up = math.expm1(4 * time) / math.expm1(4)
        down = 1 - math.expm1(4 * (1 - time)) / math.expm1(4)
        assert float((t < time).double().mean()) == pytest.approx((up + down) / 2, abs=error)
    assert not ((t > 0.8) & (r > 0) & (r < 0.4)).any()
    assert 0.01 < float(((t > 0.95) & (r < 0.05)).double().mean()) < 0.4


def test_rows_with_r_equal_t_come_last_and_the_deployed_interval_first():
    r, t = EndTimes(p_end=0.5).sample(64, torch.zeros(1), _seeded())
    assert (r[:16] < t[:16]).all()
    assert torch.equal(r[16:], t[16:])
    assert r[:8].tolist() == [0] * 8
    assert t[:8].tolist() == [1] * 8


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pairs": {"evaluations": 3}}, "multiple of 2"),
        ({"pairs": {"solver": "rk4"}}, "solver must be one of euler, heun"),
        ({"pairs": {"kept": 0}}, "pairs.kept"),
        ({"pairs": {"steps": 3}}, "no option of this name"),
        ({"time": {"distribution": "uniform"}}, "no option of this name"),
        ({"teacher": {"runs": "a"}}, "did you mean 'run'"),
    ],
)
def test_options_without_a_meaning_are_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        RectifiedMeanFlow(**options)
