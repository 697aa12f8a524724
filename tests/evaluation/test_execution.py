"""Chunk execution within an evaluation: what is seen, what is executed, what is recorded."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from evaluation.fakes import TASK, ReachEnv, ReactivePolicy
from evaluation.run_folders import write_run
from mfpolicy.config import compose
from mfpolicy.deployment import chunking
from mfpolicy.errors import ConfigError
from mfpolicy.evaluation import evaluate, read_summary
from mfpolicy.evaluation.conditions import Conditions
from mfpolicy.evaluation.rollout import run_episode
from mfpolicy.evaluation.services import EpisodeService

LENGTH = 24
EXECUTIONS = [
    ("receding_horizon", {"execute": 5}),
    ("receding_horizon", {"execute": 4, "asynchronous": True}),
    ("receding_horizon", {"execute": 2, "asynchronous": True, "in_flight": 3}),
    *((name, {}) for name in chunking.names()),
]


class Diary(ReachEnv):
    """Keeps the observation of every state, without that being asked of it."""

    def reset(self, *, seed=None):
        self.states = []
        first = super().reset(seed=seed)
        self.states.append(self.observe())
        return first

    def simulate(self, action):
        result = super().simulate(action)
        self.states.append(self.observe())
        return result


def plain(executor: chunking.ChunkExecutor) -> chunking.ChunkExecutor:
    """The executor, asking for no agreement, which the fake policy could not give."""
    executor._steer = lambda request: request
    return executor


@pytest.mark.parametrize("delay", [0, 1, 3, 9])
@pytest.mark.parametrize("n_obs_steps", [1, 2, 4])
@pytest.mark.parametrize(("name", "options"), EXECUTIONS)
def test_the_policy_sees_the_last_frames_before_it_is_asked(name, options, n_obs_steps, delay):
    env, executor = Diary(horizon=60), plain(chunking.build(name, **options))
    policy = ReactivePolicy(n_obs_steps=n_obs_steps, n_action_steps=LENGTH)
    asked, ask = [], executor.request

    def note():
        request = ask()
        asked.extend([request.tick] if request else [])
        return request

    executor.request = note
    run_episode(env, policy, seed=3, executor=executor, delay_steps=delay)
    assert len(policy.seen) == len(asked) > 1
    for tick, seen in zip(asked, policy.seen, strict=True):
        frames = [env.states[max(0, tick - back)] for back in range(n_obs_steps)[::-1]]
        expected = np.stack([frame["point_cloud"][:16] for frame in frames])[None]
        np.testing.assert_array_equal(seen["point_cloud"], expected)


def test_without_latency_whole_chunks_are_executed_bit_for_bit():
    env, policy = ReachEnv(), ReactivePolicy()
    frames = [env.reset(seed=5)[0]] * 2
    generator = torch.Generator().manual_seed(5)
    done = False
    while not done:
        stacked = {key: np.stack([frame[key] for frame in frames])[None] for key in frames[0]}
        stacked["point_cloud"] = stacked["point_cloud"][:, :, :16]
        condition = policy.encode(policy.prepare(stacked))
        for action in policy.decode(condition, steps=1, generator=generator)[0].numpy():
            done = env.simulate(np.clip(action, -1, 1))[2]
            frames = [*frames[1:], env.observe()]
            if done:
                break
    for executor in (None, chunking.build("receding_horizon", execute=3)):
        again = ReachEnv()
        run_episode(again, ReactivePolicy(), seed=5, executor=executor)
        np.testing.assert_array_equal(again.actions, env.actions)


def test_synchronous_execution_holds_while_it_waits():
    result = run_episode(ReachEnv(horizon=11), ReactivePolicy(), seed=0, delay_steps=2)
    assert (result.steps, result.holds) == (11, 5)  # ..aaa..aaa.


@pytest.mark.parametrize(("kind", "held"), [("displacement", 0.0), ("position", None)])
def test_a_hold_stands_still_in_the_tasks_own_way(kind, held):
    env = ReachEnv(horizon=11)
    env.spec_task = dataclasses.replace(TASK, action_kinds=(kind,) * 2)
    run_episode(env, ReactivePolicy(), seed=0, delay_steps=2)
    actions = np.array(env.actions)
    np.testing.assert_array_equal(actions[:2], 0)
    expected = np.repeat(actions[4:5], 2, axis=0) if held is None else np.zeros((2, 2))
    np.testing.assert_array_equal(actions[5:7], expected)


def test_an_answer_later_than_the_episode_holds_all_along():
    result = run_episode(ReachEnv(), ReactivePolicy(), seed=0, delay_steps=1000)
    assert result.holds == result.steps


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("execution") / "reach", horizon=16, n_action_steps=15)


@pytest.mark.parametrize("name", chunking.names())
def test_a_seed_decides_the_episode_under_every_execution(run, name):
    results = []
    for _ in range(2):
        conditions = Conditions(execution={"name": name}, latency_ms=40.0)
        service = EpisodeService(run, ReachEnv, conditions)
        results += [dataclasses.replace(service.run(seed), latencies_ms={}) for seed in (7, 8, 7)]
    assert results[0] == results[2] == results[3] == results[5]
    assert results[0].episode_return != results[1].episode_return
    assert service.delay_steps == 3  # 2.4 steps at 60 Hz
    assert results[0].holds >= 3


def test_an_execution_that_does_not_fit_the_policy_is_refused(run):
    for execution, message in (
        ({"name": "receding_horizon", "execute": 16}, "execute=16, Ta=15"),
        ({"name": "warm_start", "execute": 20}, "execute=20, Ta=15"),
        ({"name": "chunked"}, "name of a registered execution"),
    ):
        with pytest.raises(ConfigError, match=message):
            EpisodeService(run, ReachEnv, Conditions(execution=execution))


def test_execution_and_latency_are_part_of_the_record(run):
    options = {"name": "real_time_chunking", "execute": 4, "candidates": 3}
    how = {"episodes": 2, "workers": 1, "videos": False, "execution": options, "latency_ms": 50.0}
    summary = evaluate(run, ReachEnv, **how)
    assert summary.name == "reach-seed10000-nfe1-real_time_chunking-latency50"
    settings = json.loads((summary.folder / "settings.json").read_text())
    assert settings["execution"] == {**settings["execution"], **options, "blend": True}
    assert settings["latency_ms"] == 50.0
    assert summary.mean_holds == 3
    assert summary.mean_rms_jerk_per_s3 > 0
    assert evaluate(run, ReachEnv, **how).new_episodes == 0
    other = evaluate(run, ReachEnv, **{**how, "latency_ms": 20.0})
    assert other.name != summary.name
    card = (run / "README.md").read_text()
    assert "execution=real_time_chunking" in card
    assert "latency_ms=" in card
    assert read_summary(summary.folder).execution == summary.execution


def test_the_plain_execution_is_recorded_as_ever(run):
    said = {"name": "receding_horizon", "execute": None}
    summary = evaluate(run, ReachEnv, episodes=2, workers=1, videos=False, execution=said)
    unsaid = evaluate(run, ReachEnv, episodes=2, workers=1, videos=False)
    assert unsaid.name == summary.name == "reach-seed10000-nfe1"
    assert unsaid.new_episodes == 0
    settings = json.loads((summary.folder / "settings.json").read_text())
    assert not {"execution", "latency_ms"} & set(settings)


@pytest.mark.parametrize("latency", [-1.0, float("nan"), 1e9])
def test_a_latency_out_of_range_is_refused(run, latency):
    with pytest.raises(ConfigError, match="latency_ms must be"):
        evaluate(run, ReachEnv, episodes=1, latency_ms=latency)


@pytest.mark.parametrize("name", chunking.names())
def test_every_execution_can_be_chosen_on_the_command_line(name):
    config = compose(
        "eval", ["runs/d", f"execution={name}", "latency_ms=100", "execution.patience=9"]
    )
    assert (config.execution["name"], config.execution["patience"]) == (name, 9)
    assert config.latency_ms == 100
    assert chunking.build(**config.execution).patience == 9
