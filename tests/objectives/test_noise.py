"""Noise: its distributions, the box, and that samplers start from what training drew."""

import dataclasses

import pytest
import torch
from scipy import stats

from mfpolicy import build_policy, objectives
from mfpolicy.errors import ConfigError
from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.noise import Noise
from mfpolicy.objectives.tilting import Tilting
from mfpolicy.policy import Policy

KINDS = {
    "gaussian": Noise(),
    "student_t": Noise(kind="student_t", degrees=3.0),
    "bounded": Noise(kind="bounded"),
}


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _chunks(noise: Noise, rows: int, shape=(4, 2)) -> torch.Tensor:
    return noise.draw((rows, *shape), dtype=torch.float64, generator=_generator())


@pytest.mark.parametrize("degrees", [3.0, 8.0, 32.0, 500.0])
def test_student_noise_has_the_radius_of_pfgmpp(degrees):
    """R = √D √(B / (1 − B)) with B ~ Beta(N/2, D/2), in a direction that is uniform."""
    e = _chunks(Noise(kind="student_t", degrees=degrees), 20_000).flatten(1)
    squares = e.square().sum(dim=1)
    share = squares / (degrees + squares)
    size = e.shape[1]
    assert stats.kstest(share, stats.beta(size / 2, degrees / 2).cdf).pvalue > 0.01
    cosine = e[:, 0] / squares.sqrt()
    assert stats.kstest(cosine.square(), stats.beta(0.5, (size - 1) / 2).cdf).pvalue > 0.01


def test_many_degrees_are_gaussian():
    """The normals are the same, the factor is 1 up to 1 / √(2 D)."""
    student = _chunks(Noise(kind="student_t", degrees=1e6), 1000)
    torch.testing.assert_close(student, _chunks(Noise(), 1000), rtol=5 / 2e6**0.5, atol=0)


def test_bounded_noise_is_uniform():
    e = _chunks(Noise(kind="bounded", bound=1.5), 5000).flatten()
    assert stats.kstest(e, stats.uniform(-1.5, 3.0).cdf).pvalue > 0.01


@pytest.mark.parametrize("noise", KINDS.values())
def test_the_generator_decides_the_noise(noise):
    first, again, other = (noise.draw((5, 4, 2), generator=_generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.dtype == torch.float32


@pytest.mark.parametrize(
    ("beyond", "inside"),
    [(0.5, 0.5), (1.0, 1.0), (1.2, 0.8), (-1.2, -0.8), (3.1, -0.9), (5.3, 0.7), (-7.0, 1.0)],
)
def test_reflection_bounces_as_often_as_it_must(beyond, inside):
    box = Noise(kind="bounded", edge="reflect")
    got = box.contain(torch.tensor([beyond], dtype=torch.float64))
    assert float(got) == pytest.approx(inside, abs=1e-12)


@pytest.mark.parametrize("edge", ["clip", "reflect"])
def test_inside_the_box_nothing_changes(edge):
    box = Noise(kind="bounded", bound=2.0, edge=edge)
    z = box.draw((500, 3, 2), generator=_generator())
    assert torch.equal(box.contain(z), z)
    wild = 50 * torch.randn(500, 3, 2, generator=_generator())
    assert torch.equal(box.contain(box.contain(wild)), box.contain(wild))


def test_uniform_noise_stays_uniform_where_reflected_and_piles_up_where_clipped():
    box = Noise(kind="bounded", edge="reflect")
    e = _chunks(box, 3000)
    up = torch.rand(e.shape, generator=_generator(1)) < 0.5
    moved = torch.where(up, e + 0.7, e - 0.7)
    assert stats.kstest(box.contain(moved).flatten(), stats.uniform(-1, 2).cdf).pvalue > 0.01
    clipped = Noise(kind="bounded").contain(moved)
    assert (clipped.abs() == 1).double().mean() == pytest.approx(0.35, abs=0.02)


def _boxed(name: str, edge: str) -> objectives.Objective | None:
    options = {"input_noise": "random"} if name == "regression" else {}
    try:
        return objectives.build(name, noise={"kind": "bounded", "edge": edge}, **options)
    except ConfigError:
        return None


@pytest.mark.parametrize("steps", [None, 1, 2, 8])
@pytest.mark.parametrize("edge", ["clip", "reflect"])
@pytest.mark.parametrize("name", objectives.names())
def test_any_network_samples_inside_the_box(name, edge, steps):
    objective = _boxed(name, edge)
    if objective is None:
        assert name in {"ddim", "mip"} or "noise" not in objectives.OBJECTIVES.options(name)
        return

    def wild(z, r, t):
        return 7 * torch.sin(31 * z + per_row(t, z)) + 3

    noise = objective.noise.draw((200, 4, 2), dtype=torch.float64, generator=_generator())
    try:
        sample = objective.sample(wild, noise, steps)
    except ConfigError:
        assert steps is not None
        return
    assert sample.abs().max() <= 1
    assert sample.std() > 0.01


class _TwoPoints:
    """Velocity of data at ±1, the upper one with probability ``share``, under any noise."""

    def __init__(self, noise: Noise, share: float = 0.7) -> None:
        self.noise, self.share = noise, share

    def __call__(self, z, r, t):
        t = per_row(t, z)
        up, down = (self._log_density((z - (1 - t) * x) / t) for x in (1.0, -1.0))
        odds = torch.logit(torch.tensor(self.share, dtype=z.dtype)) + up - down
        denoised = 2 * torch.sigmoid(odds.view(-1, 1, 1)) - 1
        return (z - denoised) / t

    def _log_density(self, e: torch.Tensor) -> torch.Tensor:
        squares = e.square().flatten(1).sum(dim=1)
        if self.noise.kind == "gaussian":
            return -squares / 2
        if self.noise.kind == "student_t":
            degrees = self.noise.degrees
            return -(degrees + e[0].numel()) / 2 * torch.log1p(squares / degrees)
        return torch.where(e.abs().flatten(1).amax(dim=1) <= 1 + 1e-9, 0.0, -1e3).to(e.dtype)


def _two_points(rows: int) -> torch.Tensor:
    up = torch.rand(rows, 1, 1, dtype=torch.float64, generator=_generator()) < 0.7
    return up.double().expand(rows, 2, 1) * 2 - 1


@pytest.mark.parametrize("kind", KINDS)
def test_each_noise_has_its_own_velocity(kind):
    """The posterior mean under the noise that was drawn is what the loss is least for."""
    objective = objectives.build("flow_matching", noise=dataclasses.asdict(KINDS[kind]))
    x = _two_points(40_000)
    losses = {
        other: float(objective.loss(_TwoPoints(KINDS[other]), x, _generator(1))[0])
        for other in KINDS
    }
    assert min(losses, key=losses.get) == kind


def test_deployment_must_draw_what_training_drew():
    """Two points in unequal shares: only the noise of training gives the shares back."""
    noise = KINDS["student_t"]
    objective = objectives.build("flow_matching", noise=dataclasses.asdict(noise))
    rows = 40_000
    error = (0.7 * 0.3 / rows) ** 0.5
    shares = {}
    for kind in ("student_t", "gaussian"):
        e = KINDS[kind].draw((rows, 1, 1), dtype=torch.float64, generator=_generator())
        sample = objective.sample(_TwoPoints(noise), e, 60)
        assert ((sample.abs() - 1).abs() < 0.2).double().mean() > 0.99
        shares[kind] = float((sample > 0).double().mean())
    assert shares["student_t"] == pytest.approx(0.7, abs=4 * error)
    expected = float(stats.norm.sf(stats.t(3).ppf(0.3)))
    assert shares["gaussian"] == pytest.approx(expected, abs=4 * error)
    assert expected - 0.7 > 8 * error


def _policy(noise: Noise) -> tuple[Policy, dict[str, torch.Tensor]]:
    """A policy with this noise, and an observation of three rows."""
    spec = build_policy("mp1_small", point_dim=3, state_dim=9, action_dim=4).spec
    objective = {**spec.objective, "noise": dataclasses.asdict(noise)}
    observation = {
        "point_cloud": torch.rand(3, 2, spec.points, 3, generator=_generator()),
        "agent_pos": torch.rand(3, 2, 9, generator=_generator()),
    }
    return Policy(dataclasses.replace(spec, objective=objective)), observation


@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_draws_the_noise_of_its_objective(kind):
    policy, observation = _policy(KINDS[kind])
    shape = (3, policy.spec.horizon, 4)
    drawn = policy.predict(observation, generator=_generator(5))
    explicit = KINDS[kind].draw(shape, generator=_generator(5))
    assert torch.equal(drawn, policy.predict(observation, noise=explicit))
    normal = torch.randn(shape, generator=_generator(5))
    alike = torch.equal(drawn, policy.predict(observation, noise=normal))
    assert alike == (kind == "gaussian")


def test_every_candidate_has_a_radius_of_its_own(monkeypatch):
    """χ² is drawn once a chunk, and a row's candidates are chunks of their own."""
    policy, observation = _policy(Noise(kind="student_t", degrees=2.1))
    seen = []

    def first(velocity, noise, steps=None, generator=None):
        seen.append(noise)
        return noise

    monkeypatch.setattr(policy.objective, "sample", first)
    policy.predict(
        observation, best_of=200, reward=lambda a: a.sum((-2, -1)), generator=_generator()
    )
    (e,) = seen
    normal = torch.randn(e.shape, generator=_generator())
    radii = (normal / e).flatten(1)  # √(χ²_D / D), one a chunk
    torch.testing.assert_close(radii, radii[:, :1].expand_as(radii), rtol=1e-4, atol=0)
    squares = 2.1 * radii[:, 0].double().square()
    assert stats.kstest(squares, stats.chi2(2.1).cdf).pvalue > 0.01


@pytest.mark.parametrize("edge", ["clip", "reflect"])
def test_a_policys_chunks_stay_in_the_box_whatever_steers_them(edge):
    policy, observation = _policy(Noise(kind="bounded", edge=edge))
    with torch.no_grad():
        for weight in policy.network.parameters():
            weight.mul_(3)
    free, _ = _policy(Noise())
    free.load_state_dict(policy.state_dict())
    drawn = 1.5 * policy.objective.noise.draw((3, policy.spec.horizon, 4), generator=_generator())
    assert free.predict(observation, noise=drawn).abs().max() > 1
    rewarded = []

    def reward(actions):
        rewarded.append(actions.abs().max())
        return actions.sum((-2, -1))

    options = {"generator": _generator(), "noise_scale": 1.5}
    for steered in (
        policy.predict(observation, **options),
        policy.predict(observation, steps=4, **options),
        policy.predict(observation, best_of=8, reward=reward, **options),
        policy.predict(observation, tilting=Tilting(noise=0.0), reward=reward, **options),
    ):
        assert steered.abs().max() <= 1
    assert max(rewarded) <= 1
    with pytest.raises(ConfigError, match="tilting.noise must be 0"):
        policy.predict(observation, tilting=Tilting(), reward=reward)
