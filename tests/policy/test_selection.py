"""Noise scale, best of N and tilting, from observation to actions."""

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.errors import ConfigError, ObservationError
from mfpolicy.objectives.tilting import Tilting
from oracles.small_policy import small_policy

ROWS, CANDIDATES = 3, 5
TILTED = [n for n in objectives.names() if objectives.OBJECTIVES.get(n).learns_flow_map]


@pytest.fixture
def policy():
    return small_policy()


@pytest.fixture
def observation():
    generator = torch.Generator().manual_seed(1)
    return {
        "point_cloud": torch.rand(ROWS, 2, 8, 3, generator=generator),
        "agent_pos": torch.rand(ROWS, 2, 5, generator=generator),
    }


@pytest.fixture
def noise():
    generator = torch.Generator().manual_seed(2)
    return torch.randn(ROWS, CANDIDATES, 4, 2, generator=generator)


def _reward(actions: torch.Tensor) -> torch.Tensor:
    return -(actions - 0.1).square().sum((-2, -1))


@pytest.mark.parametrize("name", objectives.names())
def test_no_steps_are_the_objectives_own(name, observation, noise):
    policy, e = small_policy(name), noise[:, 0]
    default = policy.predict(observation, noise=e)
    own = policy.predict(observation, noise=e, steps=policy.objective.default_steps)
    assert torch.equal(default, own)


def test_the_scale_multiplies_the_noise(policy, observation, noise):
    e = noise[:, 0]
    half = policy.predict(observation, noise=e, noise_scale=0.5)
    assert torch.equal(half, policy.predict(observation, noise=0.5 * e))
    still = policy.predict(observation, noise_scale=0.0)
    assert torch.equal(still, policy.predict(observation, noise=torch.zeros_like(e)))


@pytest.mark.parametrize("scale", [-0.5, float("nan"), float("inf")])
def test_a_scale_without_a_meaning_is_refused(policy, observation, scale):
    with pytest.raises(ConfigError, match="noise_scale must be in"):
        policy.predict(observation, noise_scale=scale)


@pytest.mark.parametrize("name", objectives.names())
def test_the_best_of_one_is_the_one(name, observation):
    policy = small_policy(name)
    drawn = [
        policy.predict(observation, generator=torch.Generator().manual_seed(3), **how)
        for how in ({}, {"best_of": 1, "reward": _reward})
    ]
    assert torch.equal(*drawn)


def test_the_best_of_more_is_never_worse(policy, observation, noise):
    best = [
        _reward(policy.predict(observation, noise=noise[:, :n], best_of=n, reward=_reward)[:, None])
        for n in range(1, CANDIDATES + 1)
    ]
    gains = torch.cat(best, dim=1).diff(dim=1)
    assert (gains > -1e-4).all()  # rows of another batch size are equal to rounding
    assert (gains > 0.01).any()


def test_the_best_is_the_best_of_single_predictions(policy, observation, noise):
    chosen = policy.predict(observation, noise=noise, best_of=CANDIDATES, reward=_reward)
    single = torch.stack(
        [policy.predict(observation, noise=noise[:, n]) for n in range(CANDIDATES)], dim=1
    )
    index = _reward(single).argmax(dim=1)
    torch.testing.assert_close(chosen, single[torch.arange(ROWS), index])
    assert len(index.unique()) > 1


def test_candidates_share_one_encoding_and_one_evaluation(policy, observation, monkeypatch):
    calls = []
    for part in (policy.encoder, policy.network):
        part.register_forward_hook(lambda module, inputs, _: calls.append(len(inputs[0])))
    policy.predict(observation, best_of=CANDIDATES, reward=_reward)
    assert calls == [ROWS, ROWS * CANDIDATES]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"best_of": 4}, "need a reward"),
        ({"tilting": Tilting()}, "need a reward"),
        ({"best_of": 0, "reward": _reward}, "best_of must be in"),
        ({"best_of": 1.5, "reward": _reward}, "best_of must be a whole number"),
        ({"best_of": 2, "reward": _reward, "tilting": Tilting()}, "takes no best_of"),
        ({"steps": 2, "reward": _reward, "tilting": Tilting()}, "takes no best_of and no steps"),
        ({"best_of": 2, "reward": lambda a: a.sum()}, r"\(B, N\) = \(3, 2\)"),
        ({"best_of": 2, "reward": lambda a: 1.0}, r"\(B, N\) = \(3, 2\)"),
        ({"best_of": 2, "reward": lambda a: _reward(a) * float("nan")}, "6 NaN or infinite"),
        ({"guidance_scale": 2.0}, "takes it as an input"),
    ],
)
def test_options_that_do_not_go_together_are_refused(policy, observation, how, message):
    with pytest.raises(ConfigError, match=message):
        policy.predict(observation, **how)


def test_noise_for_another_number_of_candidates_is_refused(policy, observation, noise):
    with pytest.raises(ObservationError, match=r"\(3, 4, 4, 2\)"):
        policy.predict(observation, noise=noise, best_of=4, reward=_reward)
    with pytest.raises(ObservationError, match=r"\(3, 4, 2\)"):
        policy.predict(observation, noise=noise)


@pytest.mark.parametrize(("name", "options"), [("mip", {}), ("regression", {})])
def test_more_of_a_policy_without_noise_are_refused(name, options, observation):
    with pytest.raises(ConfigError, match="another chunk for other noise"):
        small_policy(name, **options).predict(observation, best_of=2, reward=_reward)


@pytest.mark.parametrize("name", objectives.names())
def test_tilting_is_defined_for_flow_maps_alone(name, observation):
    policy = small_policy(name)
    tilting = Tilting(particles=4, steps=2, noise=float(policy.objective.learns_score))
    how = {"reward": _reward, "tilting": tilting}
    if name in TILTED:
        assert policy.predict(observation, **how).isfinite().all()
        return
    with pytest.raises(ConfigError, match="an objective that learns"):
        policy.predict(observation, **how)


def test_what_is_tilted_is_what_is_executed(observation):
    """The reward sees actions in the environment's units, and raises them."""
    policy = small_policy()
    policy.normalizer.action.scale.fill_(0.5)
    policy.normalizer.action.offset.fill_(3.0)
    shapes = set()

    def reward(actions):
        shapes.add(tuple(actions.shape))
        return actions.sum((-2, -1))

    def drawn(**how):
        return policy.predict(observation, generator=torch.Generator().manual_seed(0), **how)

    tilted = drawn(reward=reward, tilting=Tilting(particles=32))
    assert shapes == {(ROWS, 32, 3, 2)}
    assert torch.equal(tilted, drawn(reward=reward, tilting=Tilting(particles=32)))
    assert (tilted.sum((-2, -1)) > drawn().sum((-2, -1))).all()


def test_guided_velocities_have_no_score_to_follow(observation):
    policy = small_policy("meanflow", guidance={"kind": "cfg", "omega": 2.0})
    with pytest.raises(ConfigError, match=r"tilting\.noise must be 0"):
        policy.predict(observation, reward=_reward, tilting=Tilting())
    policy.predict(observation, reward=_reward, tilting=Tilting(noise=0.0))
