"""Consistency flow matching: segments, target, gradients, and what too few steps do."""

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.errors import ConfigError
from mfpolicy.objectives.base import per_row
from oracles.gaussian import Gaussian

MU, SIGMA = 0.3, 0.4
ORACLE = Gaussian(MU, SIGMA)


def _build(**options):
    return objectives.build("consistency_flow_matching", **options)


@pytest.fixture
def noise():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1000, 1, 1, dtype=torch.float64, generator=generator)


def _gain(sample: torch.Tensor, noise: torch.Tensor) -> float:
    return float(sample.std() / noise.std())


@pytest.mark.parametrize("segments", [1, 2, 3, 4, 7])
def test_one_jump_a_segment_is_exact(segments, noise):
    sample = _build(segments=segments).sample(ORACLE, noise)
    torch.testing.assert_close(sample, MU + SIGMA * noise, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("segments", "std"), [(1, 0.400), (2, 0.077), (4, 0.027)])
def test_one_step_over_several_segments_loses_the_noise(segments, std, noise):
    objective = _build(segments=segments, sampler="euler", eps=0.0)
    sample = objective.sample(ORACLE, noise, 1)
    assert _gain(sample, noise) == pytest.approx(std, abs=6e-4)
    start = float(ORACLE.scale(torch.tensor(1 - 1 / segments)))
    assert _gain(sample, noise) == pytest.approx(abs(1 - segments * (1 - start)), abs=1e-6)


def test_euler_steps_are_right_for_as_many_steps_as_segments_alone(noise):
    objective = _build(segments=2, sampler="euler", eps=0.0)
    gains = {steps: _gain(objective.sample(ORACLE, noise, steps), noise) for steps in (1, 2, 4)}
    assert gains[2] == pytest.approx(SIGMA, abs=1e-9)
    assert abs(gains[1] - SIGMA) > 0.3
    assert abs(gains[4] - SIGMA) > 0.02


def test_the_segment_holds_its_time():
    ends = _build(segments=4).segment_end(torch.tensor([0.0, 0.1, 0.25, 0.26, 0.5, 0.9, 1.0]))
    assert ends.tolist() == [0, 0, 0, 0.25, 0.25, 0.75, 0.75]


def test_the_residual_is_the_difference_of_both_end_points():
    """Eq. 1 of the module, computed once as it stands and once as an interval target."""
    objective = _build(segments=2, delta=0.01, boundary=0.9, velocity_weight=0.0)
    x = ORACLE.sample((4000, 1, 1), torch.Generator().manual_seed(0))

    def velocity(z, r, t):
        return torch.tanh(z + per_row(t, z) - 0.5 * per_row(r, z))

    loss, _ = objective.loss(velocity, x, torch.Generator().manual_seed(1))
    at = objective.draw(velocity, x, torch.Generator().manual_seed(1))
    s = at.t - objective.delta
    s = torch.where((s < at.r) | (1 - s >= objective.boundary), at.r, s)
    z_s = at.z - per_row(at.t - s, at.z) * at.v
    end = at.z - per_row(at.t - at.r, at.z) * velocity(at.z, at.r, at.t)
    end_s = z_s - per_row(s - at.r, at.z) * velocity(z_s, at.r, s)
    torch.testing.assert_close(loss, (end - end_s).square().mean())


def test_the_velocity_term_is_the_change_of_velocity():
    objective = _build(segments=2, delta=0.01, velocity_weight=1.0, boundary=1.0)
    plain = _build(segments=2, delta=0.01, velocity_weight=0.0, boundary=1.0)
    x = ORACLE.sample((4000, 1, 1), torch.Generator().manual_seed(0))

    def velocity(z, r, t):
        return torch.tanh(z + per_row(t, z))

    both, one = (
        o.loss(velocity, x, torch.Generator().manual_seed(1))[0] for o in (objective, plain)
    )
    at = objective.draw(velocity, x, torch.Generator().manual_seed(1))
    far = per_row(at.t - at.r > 0.01 / 0.99, at.z)
    near = velocity(at.z - 0.01 * at.v, at.r, at.t - 0.01)
    change = ((velocity(at.z, at.r, at.t) - near).square() * far).mean()
    torch.testing.assert_close(both - one, change)


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_gradient_passes_through_the_target_only_if_told_to(stop_gradient):
    objective = _build(segments=2, delta=0.1, stop_gradient=stop_gradient, velocity_weight=0.0)
    x = ORACLE.sample((500, 1, 1), torch.Generator().manual_seed(0))

    def loss(weight: torch.Tensor, frozen: torch.Tensor) -> torch.Tensor:
        """By hand: ``frozen`` is the weight of the target."""
        at = objective.draw(lambda z, r, t: z, x, torch.Generator().manual_seed(1))
        fixed = objective.target(lambda z, r, t: frozen * z, at.z, at.r, at.t, at.v)
        residual = weight * at.z - (fixed.detach() if frozen is not weight else fixed)
        return (per_row(at.t - at.r, x) * residual).square().mean()

    weight = torch.tensor(0.7, dtype=x.dtype, requires_grad=True)
    got = objective.loss(lambda z, r, t: weight * z, x, torch.Generator().manual_seed(1))[0]
    (gradient,) = torch.autograd.grad(got, weight)
    h = 1e-5
    values = [
        loss(weight.detach() + sign * h, weight.detach() + (0 if stop_gradient else sign * h))
        for sign in (1, -1)
    ]
    assert float(gradient) == pytest.approx(float(values[0] - values[1]) / (2 * h), rel=1e-6)


def test_the_average_velocity_is_the_fixed_point_up_to_delta():
    biases = []
    for delta in (0.04, 0.01):
        objective = _build(delta=delta, boundary=1.0)
        z = torch.full((400_000, 1, 1), 0.5, dtype=torch.float64)
        t = torch.full((400_000,), 0.6, dtype=torch.float64)
        # x given z_t = 0.5 at t = 0.6 is normal; v = (z - x) / t.
        precision = 1 / SIGMA**2 + 0.4**2 / 0.6**2
        mean = (MU / SIGMA**2 + 0.4 * 0.5 / 0.6**2) / precision
        generator = torch.Generator().manual_seed(0)
        x = mean + torch.randn(z.shape, dtype=z.dtype, generator=generator) / precision**0.5
        r = torch.zeros_like(t)
        residual = objective.target(ORACLE, z, r, t, (z - x) / 0.6) - ORACLE(z, r, t)
        biases.append(abs(float(residual.mean())) / (delta / 0.6))
    assert biases[1] < 0.02
    assert biases[0] < 0.1


@pytest.mark.parametrize(
    ("boundary", "std"), [(0.9, 0.3846), (1.0, 0.3993)], ids=["consistency-fm", "flowpolicy"]
)
def test_truth_taken_early_narrows_the_fixed_point(boundary, std):
    """The linear fixed point on Gaussian data, in closed form, against the objective's target.

    f(z, t) = E[f(z_s, s) | z_t] is an Euler step of the flow, so the map's gain is the product of
    theirs, and where the target is on the line itself the last step reaches down to 0.
    """
    objective = _build(delta=1e-3, boundary=boundary)
    t = torch.arange(1, 1001, dtype=torch.float64) * 1e-3
    scale = ORACLE.scale(t)
    slope = (t - (1 - t) * SIGMA**2) / scale**2  # of the velocity in z
    early = 1 - (t - 1e-3) >= boundary - 1e-9
    gain, last = 1.0, torch.nonzero(early)[-1, 0]
    gains = torch.empty_like(t)  # of f(·, t)
    for k in range(len(t)):
        h = t[k] if k <= last else 1e-3
        gain = 1 - h * slope[k] if k <= last else gain * (1 - h * slope[k])
        gains[k] = gain
    assert float(gains[-1]) == pytest.approx(std, abs=2e-4)

    def velocity(z, r, t):
        index = (t * 1000).round().long().clamp(1, 1000) - 1
        return per_row((1 - gains[index]) / t.clamp(min=1e-3), z) * z

    z = torch.full((1000, 1, 1), 0.7, dtype=torch.float64)
    mean_v = per_row(slope, z) * z  # the mean of v given z, of data without a mean
    target = objective.target(velocity, z, torch.zeros_like(t), t, mean_v)
    torch.testing.assert_close(target, velocity(z, t, t), rtol=0, atol=1e-6)


def test_other_numbers_of_steps_are_refused(noise):
    with pytest.raises(ConfigError, match="steps of this ConsistencyFlowMatching must be 2"):
        _build(segments=2).sample(ORACLE, noise, 4)
    with pytest.raises(ConfigError, match="must be 2"):
        _build(segments=2, inference_steps=1)
    with pytest.raises(ConfigError, match="at least 1"):
        _build(inference_steps=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segments": 1.5}, "segments must be a whole number"),
        ({"segments": 0}, "segments must be in"),
        ({"delta": 0.0}, "delta must be in"),
        ({"sampler": "eulr"}, "'euler'"),
        ({"time": {"p_equal": 0.5}}, r"time\.p_equal must be 1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        _build(**options)


def test_flowpolicy_ships_two_segments_in_one_step(noise):
    from mfpolicy.config import compose_preset

    options = dict(compose_preset("flowpolicy").objective)
    objective = objectives.build(**options)
    assert (objective.segments, objective.default_steps, objective.stop_gradient) == (2, 1, False)
    assert _gain(objective.sample(ORACLE, noise), noise) < 0.1
    both = objectives.build(**{**options, "inference_steps": 2})
    assert _gain(both.sample(ORACLE, noise), noise) == pytest.approx(SIGMA, abs=0.02)
