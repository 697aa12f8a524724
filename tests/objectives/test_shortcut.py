"""Shortcut models: dyadic steps and what a step of each size is trained on."""

import pytest
import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives import ConditionalVelocity, Shortcut
from mfpolicy.objectives.shortcut import DyadicTimes
from oracles.draws import MU, SIGMA, curved, draw, weights
from oracles.gaussian import Gaussian, GaussianNetwork

LIKE = torch.zeros(1, dtype=torch.float64)


def test_steps_are_dyadic_and_start_on_their_own_grid():
    r, t = DyadicTimes(grid=16, p_bootstrap=0.75).sample(
        4000, LIKE, torch.Generator().manual_seed(0)
    )
    assert (r < t).sum() == 3000
    r, t = r[:3000], t[:3000]
    size = t - r
    assert sorted(set(size.tolist())) == [1 / 8, 1 / 4, 1 / 2, 1]
    assert torch.equal(r / size, (r / size).round())
    assert ((r >= 0) & (t <= 1)).all()
    for one in (1 / 8, 1 / 4, 1 / 2, 1):
        assert (size == one).double().mean() == pytest.approx(0.25, abs=0.04)
        assert len(r[size == one].unique()) == 1 / one


def test_a_share_of_steps_is_the_deployed_one():
    r, t = DyadicTimes(p_bootstrap=0.5, p_end=1.0).sample(100, LIKE)
    assert ((r == 0) & (t == 1)).sum() == 50


def test_the_smallest_halves_are_instantaneous_and_the_others_are_steps():
    asked = []

    def velocity(z, r, t):
        asked.append((r.tolist(), t.tolist()))
        return z

    z = torch.zeros(2, 1, 1)
    r, t = torch.tensor([0.5, 0.0]), torch.tensor([0.75, 1.0])
    Shortcut(time={"grid": 8}).target(velocity, z, r, t, z)
    assert asked == [([0.75, 0.5], [0.75, 1.0]), ([0.625, 0.0], [0.625, 0.5])]


def test_the_target_is_the_mean_of_two_halves_by_hand():
    z = torch.randn(20, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    r, t = (torch.full((20,), value, dtype=z.dtype) for value in (0.5, 1.0))
    velocity = curved(weights().detach())
    first = velocity(z, r + 0.25, t)
    second = velocity(z - 0.25 * first, r, r + 0.25)
    target = Shortcut().target(velocity, z, r, t, z)
    torch.testing.assert_close(target, (first + second) / 2)


def test_halfway_points_and_targets_stay_within_the_clip():
    z = torch.full((5, 1, 1), 3.0)
    r, t = torch.zeros(5), torch.ones(5)
    seen = []

    def velocity(z, r, t):
        seen.append(z)
        return torch.full_like(z, -20.0)

    target = Shortcut(clip=4.0).target(velocity, z, r, t, z)
    assert seen[1].max() == 4.0
    assert target.min() == -4.0


def _shifted(shift: float, rows: int) -> ConditionalVelocity:
    return ConditionalVelocity(
        GaussianNetwork(SIGMA), torch.full((rows, 1), MU + shift, dtype=torch.float64)
    )


@pytest.mark.parametrize("legs", ["average", "own"])
def test_the_halves_are_the_averages_or_the_networks_own(legs):
    z, r, t, v = draw(40)
    r[::4] = t[::4]
    live, average = _shifted(0.0, 40), _shifted(-0.5, 40)
    live.average = average
    objective = Shortcut(legs=legs, clip=100.0)
    assert objective.needs_average == (legs == "average")
    target = objective.target(live, z, r, t, v)
    taken = average if legs == "average" else live
    torch.testing.assert_close(target, Shortcut(legs="own", clip=100.0).target(taken, z, r, t, v))
    assert torch.equal(target[::4], v[::4])  # flow matching is on the data either way


def test_a_velocity_without_an_average_stands_for_its_own():
    z, r, t, v = draw(40)
    targets = [
        Shortcut(legs=legs).target(_shifted(0.0, 40), z, r, t, v) for legs in ("average", "own")
    ]
    assert torch.equal(*targets)


@pytest.mark.parametrize("steps", [3, 6, 64, 100])
def test_steps_of_a_size_that_was_not_trained_are_refused(steps):
    objective = Shortcut(time={"grid": 64})
    with pytest.raises(ConfigError, match="power of two of at most 32"):
        objective.sample(Gaussian(MU, SIGMA), torch.zeros(1, 1, 1), steps)


@pytest.mark.parametrize("grid", [0, 1, 3, 100, 12.5])
def test_a_grid_that_cannot_be_halved_down_is_refused(grid):
    with pytest.raises(ConfigError, match="power of two|a whole number"):
        Shortcut(time={"grid": grid})
