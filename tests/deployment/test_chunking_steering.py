"""The policy's side of a request: agreement with the plan, and a start from it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from mfpolicy import objectives
from mfpolicy.deployment import chunking
from mfpolicy.deployment.chunking import Request
from mfpolicy.deployment.chunking.real_time_chunking import soft_mask
from mfpolicy.deployment.chunking.steering import check_executor, coherence, decode_steered
from mfpolicy.errors import ConfigError
from oracles.small_policy import small_policy

PLAN = np.array([[0.4, -0.3], [0.2, 0.1]], np.float32)
NAMES = objectives.names()
WARM = [n for n in NAMES if objectives.OBJECTIVES.get(n).learns_flow_map]


def request(**changes) -> Request:
    plain = Request(episode=0, number=1, tick=5, step=5, plan=PLAN, last=PLAN[0] + 1)
    return dataclasses.replace(plain, **changes)


def agreeing(**changes) -> Request:
    return request(**{"weights": soft_mask(1, 2), "candidates": 1, **changes})


def condition(policy):
    generator = torch.Generator().manual_seed(1)
    observation = {
        "point_cloud": torch.rand(1, 2, 8, 3, generator=generator),
        "agent_pos": torch.rand(1, 2, 5, generator=generator),
    }
    return policy.encode(policy.prepare(observation))


def decide(policy, asked: Request, seed: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return decode_steered(policy, condition(policy), asked, generator=generator)


def gap(policy, actions: torch.Tensor) -> float:
    plan, weights = torch.from_numpy(PLAN), torch.from_numpy(soft_mask(1, 2)).float()
    reward = coherence(policy, policy.normalizer.action(plan), weights)
    return -reward(actions[:, None]).item()


@pytest.mark.parametrize("name", NAMES)
def test_a_request_for_no_agreement_is_a_plain_decision(name):
    policy = small_policy(name)
    plain = policy.decode(condition(policy), generator=torch.Generator().manual_seed(3))
    for asked in (request(), agreeing(), request(candidates=5)):
        assert torch.equal(decide(policy, asked), plain)


def test_more_candidates_agree_better():
    policy = small_policy()
    gaps = {
        n: np.mean(
            [gap(policy, decide(policy, agreeing(candidates=n), seed)) for seed in range(20)]
        )
        for n in (1, 4, 64)
    }
    assert gaps[64] < gaps[4] < gaps[1]


@pytest.mark.parametrize("rate", [0.1, 1e3])
def test_corrections_agree_better_whatever_their_first_length(rate):
    policy = small_policy()
    for seed in range(5):
        gaps = [
            gap(policy, decide(policy, agreeing(corrections=n, correction_rate=rate), seed))
            for n in (0, 1, 3, 30)
        ]
        assert (np.diff(gaps) <= 1e-5 * gaps[0]).all()
        assert gaps[-1] < 0.5 * gaps[0]


def test_corrections_work_where_gradients_are_off_for_good():
    policy = small_policy()
    with torch.inference_mode():
        inside = decide(policy, agreeing(corrections=2, correction_rate=0.1))
    assert torch.equal(inside, decide(policy, agreeing(corrections=2, correction_rate=0.1)))
    assert all(weight.grad is None for weight in policy.parameters())


@pytest.mark.parametrize("name", [n for n in NAMES if not objectives.OBJECTIVES.get(n).stochastic])
def test_where_noise_changes_nothing_there_is_nothing_to_choose(name):
    policy = small_policy(name)
    asked = agreeing(candidates=8, corrections=2)
    assert torch.equal(decide(policy, asked), decide(policy, request()))


def test_a_plan_longer_than_an_answer_is_cut():
    policy = small_policy()
    long = np.concatenate([PLAN, PLAN, PLAN])
    asked = agreeing(plan=long, weights=soft_mask(1, 6), candidates=4)
    assert decide(policy, asked).shape == (1, 3, 2)


@pytest.mark.parametrize("name", WARM)
def test_a_start_at_noise_alone_is_the_plain_decision(name):
    policy = small_policy(name)
    warm, plain = decide(policy, request(warm_time=1.0)), decide(policy, request())
    torch.testing.assert_close(warm, plain, rtol=0, atol=1e-6)


def test_a_start_almost_at_the_plan_gives_it_back():
    policy = small_policy()
    given = decide(policy, request(warm_time=1e-5))[0]
    wanted = torch.from_numpy(np.concatenate([PLAN, PLAN[-1:]]))  # its last action repeated
    torch.testing.assert_close(given, wanted, rtol=0, atol=1e-3)


def test_a_start_nearer_to_the_plan_stays_nearer():
    policy = small_policy()
    gaps = [
        np.mean([gap(policy, decide(policy, request(warm_time=t), seed)) for seed in range(20)])
        for t in (0.1, 0.5, 0.9)
    ]
    assert gaps == sorted(gaps)


def test_the_plan_starts_at_the_last_observed_step():
    policy, seen = small_policy(), []

    def spy(z, r, t, prepared):
        seen.append((z, r, t))
        return torch.zeros_like(z)

    policy.network.forward = spy
    time = 0.25
    decide(policy, request(warm_time=time))
    noise = torch.randn(1, 4, 2, generator=torch.Generator().manual_seed(3))
    chunk = np.concatenate([PLAN[:1] + 1, PLAN, PLAN[-1:]])  # the executed action comes first
    ((z, r, t),) = seen
    torch.testing.assert_close(z, (1 - time) * torch.from_numpy(chunk)[None] + time * noise)
    assert (r.item(), t.item()) == (0, time)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in WARM])
def test_an_objective_without_a_flow_map_refuses_a_warm_start(name):
    policy, executor = small_policy(name), chunking.build("warm_start", execute=2)
    with pytest.raises(ConfigError, match=f"warm start needs.*{name}"):
        check_executor(policy, executor)
    with pytest.raises(ConfigError, match="warm start needs"):
        decide(policy, request(warm_time=0.5))


def test_a_curved_path_refuses_a_warm_start():
    policy = small_policy("meanflow", path={"kind": "trigonometric"})
    with pytest.raises(ConfigError, match="straight"):
        check_executor(policy, chunking.build("warm_start", execute=2))


@pytest.mark.parametrize("name", chunking.names())
def test_every_execution_fits_a_policy_with_long_enough_chunks(name):
    policy = small_policy()
    policy.spec = dataclasses.replace(policy.spec, horizon=32, n_action_steps=31)
    check_executor(policy, chunking.build(name))
