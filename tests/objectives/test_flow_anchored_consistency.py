"""FACM: MeanFlow at r = 0, its relaxed steps, its anchor and its sampler."""

import math

import pytest
import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives import FlowAnchoredConsistency, MeanFlow
from oracles.draws import MU, SIGMA, curved, draw, weights
from oracles.gaussian import Gaussian

ORACLE = Gaussian(MU, SIGMA)
BARE = {"clip": None, "relaxed": False, "anchor": 0.0}


def test_bare_it_is_meanflow_at_r_zero():
    z, _, t, v = draw(100)
    velocity, zero = curved(weights().detach()), torch.zeros_like(t)
    bare = FlowAnchoredConsistency(**BARE).target(velocity, z, zero, t, v)
    assert torch.equal(bare, MeanFlow().target(velocity, z, zero, t, v))


def test_bare_its_gradient_is_meanflows_on_its_own_times():
    x = ORACLE.sample((200, 1, 1), torch.Generator().manual_seed(0))
    weight = weights()
    facm, meanflow = FlowAnchoredConsistency(**BARE), MeanFlow()
    loss, _ = facm.loss(curved(weight), x, torch.Generator().manual_seed(1))
    at = facm.draw(curved(weight), x, torch.Generator().manual_seed(1))
    zero = torch.zeros_like(at.t)
    target = meanflow.target(curved(weight), at.z, zero, at.t, at.v)
    expected = meanflow.weighting.loss(curved(weight)(at.z, zero, at.t) - target).mean()
    torch.testing.assert_close(loss, expected)
    found, by_hand = (torch.autograd.grad(value, weight)[0] for value in (loss, expected))
    torch.testing.assert_close(found, by_hand)


def test_steps_towards_the_target_are_clipped_and_relaxed():
    z, _, t, v = draw(100)
    velocity, zero = curved(weights().detach()), torch.zeros_like(t)
    u = velocity(z, zero, t)
    whole = u - MeanFlow().target(velocity, z, zero, t, v)
    step = u - FlowAnchoredConsistency(clip=0.5).target(velocity, z, zero, t, v)
    share = (1 - (1 - t).sqrt()).view(-1, 1, 1)
    torch.testing.assert_close(step, share * whole.clamp(-0.5, 0.5))
    assert (whole.abs() > 0.5).any()


def test_the_anchor_is_flow_matching_and_the_direction():
    objective = FlowAnchoredConsistency()
    v = torch.tensor([[[3.0, 4.0], [1.0, 0.0]]])
    assert objective._anchor(v, v) == 0
    turned = torch.tensor([[[-3.0, -4.0], [1.0, 0.0]]])
    assert objective._anchor(turned, v) == pytest.approx(100 / 4 + 1)
    longer = torch.tensor([[[6.0, 8.0], [2.0, 0.0]]])
    assert objective._anchor(longer, v) == pytest.approx(26 / 4)


def test_only_the_anchor_teaches_the_velocity_at_r_equal_t():
    x = ORACLE.sample((50, 1, 1), torch.Generator().manual_seed(0))
    for anchor in (0.0, 1.0):
        extra = torch.zeros((), dtype=x.dtype, requires_grad=True)

        def velocity(z, r, t, extra=extra):
            return z + extra * (r == t).to(z.dtype).view(-1, 1, 1) + 0 * extra

        loss, _ = FlowAnchoredConsistency(anchor=anchor).loss(velocity, x)
        assert bool(torch.autograd.grad(loss, extra)[0] != 0) == bool(anchor)


def test_times_have_their_median_and_their_share_of_the_end():
    like = torch.zeros(1, dtype=torch.float64)
    objective = FlowAnchoredConsistency(time={"p_end": 0.1})
    r, t = objective.time.sample(10_000, like, torch.Generator().manual_seed(0))
    assert torch.equal(r, t)
    assert (t == 1).sum() == 1000
    assert ((t > 0) & (t <= 1)).all()
    median = math.atan(math.exp(-0.8)) * 2 / math.pi
    assert t[1000:].median() == pytest.approx(median, abs=0.02)


def test_one_step_is_exact_and_more_ask_only_for_what_is_trained():
    noise = torch.randn(500, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    asked = []

    def velocity(z, r, t):
        asked.append((float(r[0]), float(t[0])))
        return ORACLE(z, r, t)

    objective = FlowAnchoredConsistency(sampler="euler")
    truth = MU + SIGMA * noise
    torch.testing.assert_close(objective.sample(velocity, noise), truth, rtol=0, atol=1e-9)
    objective.sample(velocity, noise, 4)
    assert asked == [(0, 1), (1, 1), (0.75, 0.75), (0.5, 0.5), (0, 0.25)]
    errors = [(objective.sample(velocity, noise, n) - truth).abs().mean() for n in (16, 32, 64)]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.25)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.25)


@pytest.mark.parametrize("steps", [2, 3, 8])
def test_jumps_with_new_noise_keep_the_distribution_and_forget_the_first(steps):
    rows = 20_000
    noise = torch.randn(rows, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    asked = []

    def velocity(z, r, t):
        asked.append((float(r[0]), float(t[0])))
        return ORACLE(z, r, t)

    objective = FlowAnchoredConsistency()
    x = objective.sample(velocity, noise, steps, torch.Generator().manual_seed(1))
    assert asked == [(0, left / steps) for left in range(steps, 0, -1)]
    assert float(x.mean()) == pytest.approx(MU, abs=4 * SIGMA / rows**0.5)
    assert float(x.std()) == pytest.approx(SIGMA, abs=4 * SIGMA / (2 * rows) ** 0.5)
    again = objective.sample(ORACLE, noise, steps, torch.Generator().manual_seed(1))
    other = objective.sample(ORACLE, noise, steps, torch.Generator().manual_seed(2))
    assert torch.equal(x, again)
    assert not torch.equal(x, other)
    one = objective.sample(ORACLE, noise, 1)
    kept = torch.corrcoef(torch.stack([x.flatten(), one.flatten()]))[0, 1]
    # a step at t keeps the share (1 − t) σ / s(t) of the deviation that the sample had
    shares = [
        (1 - t) * SIGMA / ((1 - t) ** 2 * SIGMA**2 + t**2) ** 0.5
        for t in (left / steps for left in range(steps - 1, 0, -1))
    ]
    assert float(kept) == pytest.approx(math.prod(shares), abs=4 / rows**0.5)


@pytest.mark.parametrize("options", [{"clip": 0.0}, {"anchor": -1.0}, {"sampler": "eulr"}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        FlowAnchoredConsistency(**options)
