"""Identities of the average velocity, on oracles: what every target is derived from."""

import pytest
import torch

from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.derivative import central_derivative, forward_derivative
from mfpolicy.objectives.interval_target import interval_target, split_time
from oracles.draws import MU, SIGMA, curved, draw, weights
from oracles.finite_set import FiniteSet
from oracles.gaussian import Gaussian

ORACLE = Gaussian(MU, SIGMA)


@pytest.fixture
def at():
    z, r, t, _ = draw(400)
    return z, r, t


def _close(left: torch.Tensor, right: torch.Tensor) -> None:
    torch.testing.assert_close(left, right, rtol=0, atol=1e-9)


def test_eulerian(at):
    z, r, t = at
    v = ORACLE.velocity(z, t)
    dudt = forward_derivative(ORACLE, z, r, t, v)
    _close(ORACLE(z, r, t), v - per_row(t - r, z) * dudt)


def test_lagrangian(at):
    z, r, t = at
    u, dudr = torch.func.jvp(lambda r: ORACLE(z, r, t), (r,), (torch.ones_like(r),))
    arrived = z - per_row(t - r, z) * u
    _close(u, ORACLE.velocity(arrived, r) + per_row(t - r, z) * dudr)


@pytest.mark.parametrize("share", [1e-3, 0.25, 0.5, 0.9, 1.0])
def test_additivity(at, share):
    z, r, t = at
    first = ORACLE(z, split_time(r, t, share), t)
    _close(interval_target(ORACLE, z, r, t, first, share), ORACLE(z, r, t))


def test_boundary(at):
    z, _, t = at
    _close(ORACLE(z, t, t), ORACLE.velocity(z, t))


def test_jacobian(at):
    z, r, t = at
    _, slope = torch.func.jvp(lambda z: ORACLE(z, r, t), (z,), (torch.ones_like(z),))
    _, mapped = torch.func.jvp(lambda z: ORACLE.flow(z, r, t), (z,), (torch.ones_like(z),))
    _close(1 - per_row(t - r, z) * slope, mapped)


def test_the_identities_hold_on_two_modes_as_well(at):
    z, r, t = (value[:100] for value in at)
    r = r.clamp(min=0.05).minimum(t)
    oracle = FiniteSet(torch.tensor([-1.0, 1.0], dtype=torch.float64).view(2, 1, 1))
    u, v = oracle(z, r, t), oracle.velocity(z, t)
    dudt = forward_derivative(oracle, z, r, t, v)
    torch.testing.assert_close(u, v - per_row(t - r, z) * dudt, rtol=1e-4, atol=1e-5)
    first = oracle(z, split_time(r, t, 0.3), t)
    both = interval_target(oracle, z, r, t, first, 0.3)
    torch.testing.assert_close(both, u, rtol=1e-4, atol=1e-5)


def test_one_jump_of_the_finite_set_lands_on_its_points():
    points = torch.tensor([-1.0, 1.0], dtype=torch.float64).view(2, 1, 1)
    noise = torch.randn(500, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    zeros, ones = torch.zeros(500, dtype=noise.dtype), torch.ones(500, dtype=noise.dtype)
    arrived = noise - FiniteSet(points)(noise, zeros, ones)
    assert ((arrived.abs() - 1).abs() < 0.02).double().mean() > 0.99
    assert torch.equal(arrived.sign(), noise.sign())


def test_r_is_held_fixed_by_the_derivative(at):
    z, r, t = at
    seen = forward_derivative(lambda z, r, t: per_row(r, z) + 0 * z, z, r, t, z)
    assert torch.equal(seen, torch.zeros_like(z))


def test_forward_and_central_derivative_agree(at):
    z, r, t = at
    t = t.clamp(max=0.99)
    r = r.minimum(t - 0.01).clamp(min=0)
    for velocity in (ORACLE, curved(weights().detach())):
        exact = forward_derivative(velocity, z, r, t, z)
        for step, bound in ((5e-3, 1e-3), (5e-4, 1e-5)):
            central = central_derivative(velocity, z, r, t, z, step=step)
            assert (central - exact).norm() < bound * exact.norm()


def test_the_central_derivative_stays_between_r_and_one():
    z = torch.zeros(3, 1, 1, dtype=torch.float64)
    r = torch.tensor([0.0, 0.499, 0.2], dtype=torch.float64)
    t = torch.tensor([1.0, 0.5, 0.5], dtype=torch.float64)
    asked = []

    def velocity(z, r, t):
        asked.append(t)
        return z + per_row(t, z) ** 2

    derivative = central_derivative(velocity, z, r, t, z, step=0.01)
    later, earlier = asked
    assert ((earlier >= r) & (later <= 1)).all()
    torch.testing.assert_close(derivative[:, 0, 0], 2 * t, rtol=0, atol=0.011)
