from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch

from evaluation.fakes import ReachEnv, ReactivePolicy, render_every_step
from mfpolicy.errors import RunError
from mfpolicy.evaluation import latency
from mfpolicy.evaluation.latency import STAGES, latency_percentiles
from mfpolicy.evaluation.rollout import WARM_UP_DECISIONS, run_episode, warm_up
from mfpolicy.types import EpisodeResult


def outcome(result: EpisodeResult) -> EpisodeResult:
    return dataclasses.replace(result, latencies_ms={})


@pytest.mark.parametrize(
    ("n_obs_steps", "n_action_steps"), [(1, 1), (1, 4), (2, 1), (2, 2), (2, 3), (3, 2), (4, 9)]
)
def test_policy_sees_what_rendering_every_step_would_show(n_obs_steps, n_action_steps):
    shape = {"n_obs_steps": n_obs_steps, "n_action_steps": n_action_steps}
    sparse, dense = ReactivePolicy(**shape), ReactivePolicy(**shape)
    run_episode(ReachEnv(), sparse, seed=3)
    expected = render_every_step(ReachEnv(), dense, seed=3)
    assert len(sparse.seen) == len(expected)
    for seen, wanted in zip(sparse.seen, expected, strict=True):
        for key in wanted:
            np.testing.assert_array_equal(seen[key], wanted[key])


def test_renders_only_the_frames_that_are_seen():
    env = ReachEnv(horizon=11)
    run_episode(env, ReactivePolicy(n_obs_steps=2, n_action_steps=4), seed=0)
    # Chunks are steps 1-4, 5-8 and 9-11; of the last one the episode's end is not observed.
    assert env.observed_at == [0, 3, 4, 7, 8]


def test_first_frame_fills_the_history():
    policy = ReactivePolicy(n_obs_steps=3)
    run_episode(ReachEnv(), policy, seed=5)
    cloud = policy.seen[0]["point_cloud"]
    assert cloud.shape == (1, 3, 16, 3)
    np.testing.assert_array_equal(cloud[:, 0], cloud[:, 2])


def test_same_seed_same_episode_and_other_seed_another():
    first, second, other = (
        outcome(run_episode(ReachEnv(), ReactivePolicy(), seed)) for seed in (7, 7, 8)
    )
    assert first == second
    assert first.episode_return != other.episode_return


def test_without_noise_the_seed_decides_the_environment_alone():
    class SameStart(ReachEnv):
        def reset(self, *, seed=None):
            return super().reset(seed=0)

    def actions(seed, noise_scale):
        env = SameStart()
        run_episode(env, ReactivePolicy(), seed, noise_scale=noise_scale)
        return np.array(env.actions)

    assert np.array_equal(actions(1, 0.0), actions(2, 0.0))
    assert not np.array_equal(actions(1, 0.0), actions(1, 0.5))


def test_noise_follows_the_seed_even_where_the_environment_is_the_same():
    class SameStart(ReachEnv):
        def reset(self, *, seed=None):
            return super().reset(seed=0)

    actions = []
    for seed in (1, 2):
        env = SameStart()
        run_episode(env, ReactivePolicy(), seed)
        actions.append(np.array(env.actions))
    assert not np.array_equal(*actions)


def test_earlier_episodes_do_not_change_a_later_one():
    env, policy = ReachEnv(), ReactivePolicy()
    warm_up(env, policy)
    run_episode(env, policy, seed=1)
    assert outcome(run_episode(env, policy, seed=2)) == outcome(
        run_episode(ReachEnv(), ReactivePolicy(), seed=2)
    )


def test_episode_adds_up_to_what_the_environment_said():
    env, policy, flags = ReachEnv(horizon=10), ReactivePolicy(scale=2.0), set()
    for seed in range(20):
        result = run_episode(env, policy, seed)
        positions = np.cumsum(0.3 * np.array(env.actions), axis=0)
        distances = np.linalg.norm(positions - env.goal, axis=1)
        assert result.steps == 10
        assert result.episode_return == pytest.approx(-distances.sum())
        assert result.success_any == (distances < env.radius).any()
        assert result.success_end == (distances[-1] < env.radius)
        flags.add((result.success_any, result.success_end))
    assert flags == {(False, False), (True, False), (True, True)}


def test_ends_at_termination_within_a_chunk():
    class EndsAtTwo(ReachEnv):
        def simulate(self, action):
            reward, _, truncated, info = super().simulate(action)
            return reward, self.time == 2, truncated, info

    assert run_episode(EndsAtTwo(), ReactivePolicy(n_action_steps=4), seed=0).steps == 2


def test_actions_outside_the_space_are_clipped_and_counted():
    env = ReachEnv()
    wild = run_episode(env, ReactivePolicy(scale=100.0), seed=0)
    assert np.abs(env.actions).max() == 1.0
    assert wild.clipped_actions == wild.steps
    assert run_episode(ReachEnv(), ReactivePolicy(scale=0.01), seed=0).clipped_actions == 0


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_action_that_is_not_finite_is_refused(poison):
    with pytest.raises(RunError, match=r"actions must be finite.*nan|actions must be finite.*inf"):
        run_episode(ReachEnv(), ReactivePolicy(poison=poison), seed=0)


def test_action_of_another_dimension_is_refused_with_both():
    with pytest.raises(RunError, match=r"shape \(Ta, 2\). Received: \(3, 5\)"):
        run_episode(ReachEnv(), ReactivePolicy(action_dim=5), seed=0)


def test_environment_without_success_flag_is_refused():
    class Silent(ReachEnv):
        def simulate(self, action):
            return *super().simulate(action)[:3], {}

    with pytest.raises(RunError, match=r"info\['success'\]"):
        run_episode(Silent(), ReactivePolicy(), seed=0)


def test_latencies_have_one_entry_a_decision_and_stages_add_up():
    policy = ReactivePolicy()
    result = run_episode(ReachEnv(), policy, seed=0)
    stages = {stage: np.array(result.latencies_ms[stage]) for stage in STAGES}
    assert {len(values) for values in stages.values()} == {len(policy.seen)}
    assert (stages["points"] == 0.25).all()
    parts = stages["copy"] + stages["encoder"] + stages["network"]
    np.testing.assert_allclose(parts, stages["total"], rtol=1e-9)


def test_each_stage_times_its_own_work():
    class Slow(ReactivePolicy):
        def encode(self, prepared):
            deadline(4.0)
            return super().encode(prepared)

        def decode(self, condition, **how):
            deadline(9.0)
            return super().decode(condition, **how)

    def deadline(milliseconds):
        time.sleep(milliseconds / 1e3)

    percentiles = latency_percentiles([run_episode(ReachEnv(), Slow(), seed=0)])
    encoder_ms, network_ms = (percentiles[stage]["p50"] for stage in ("encoder", "network"))
    assert encoder_ms >= 4.0
    assert network_ms >= 9.0
    assert encoder_ms < network_ms
    assert percentiles["copy"]["p50"] < 9.0


def test_work_that_an_accelerator_still_owes_counts_for_its_stage(monkeypatch):
    owed_ms = [0.0]

    class Asynchronous(ReactivePolicy):
        def encode(self, prepared):
            owed_ms[0] += 6.0
            return super().encode(prepared)

    def synchronize(_device):
        time.sleep(owed_ms[0] / 1e3)
        owed_ms[0] = 0.0

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    monkeypatch.setattr(latency, "policy_device", lambda _policy: torch.device("cuda"))
    result = run_episode(ReachEnv(), Asynchronous(), seed=0)
    assert min(result.latencies_ms["encoder"]) >= 6.0
    assert np.median(result.latencies_ms["network"]) < 6.0


def test_percentiles_pool_all_decisions():
    results = [
        EpisodeResult(seed, True, True, 1, 0.0, latencies_ms={"total": values})
        for seed, values in enumerate([[float(x) for x in range(1, 60)], [60.0] * 42])
    ]
    total = latency_percentiles(results)["total"]
    assert total == {"p50": 51.0, "p95": 60.0, "p99": 60.0, "max": 60.0, "n": 101}
    assert latency_percentiles(results).keys() == {"total"}


def test_warm_up_decides_but_leaves_no_trace():
    env, policy = ReachEnv(), ReactivePolicy()
    warm_up(env, policy)
    assert len(policy.seen) == WARM_UP_DECISIONS
    assert env.actions == []


def test_callback_sees_every_state_once():
    steps = []
    result = run_episode(ReachEnv(), ReactivePolicy(), seed=0, on_state=steps.append)
    assert steps == list(range(result.steps + 1))
