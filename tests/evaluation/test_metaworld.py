from __future__ import annotations

import dataclasses
import functools

import pytest

import envs
from evaluation.mp4 import read_video
from evaluation.run_folders import write_run
from mfpolicy.evaluation import evaluate, run_episode
from mfpolicy.evaluation.records import read_log
from mfpolicy.policy import load_policy

pytestmark = pytest.mark.render

TASK = "metaworld/drawer-open"
HORIZON = 13


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory):
    make_env = functools.partial(envs.make, TASK, points=64, image_size=64, horizon=HORIZON)
    env = make_env()
    recipe, task = env.recipe.to_dict(), env.spec_task
    env.close()
    run = write_run(
        tmp_path_factory.mktemp("run") / "drawer-open",
        task=TASK,
        recipe=recipe,
        points=64,
        state_dim=task.state_dim,
        action_dim=task.action_dim,
        control_rate_hz=task.control_rate_hz,
    )
    return run, make_env, evaluate(run, make_env, episodes=3, workers=2, name="two")


def test_real_episodes_are_decided_by_their_seed_alone(evaluated):
    run, make_env, summary = evaluated
    policy, env = load_policy(run), make_env()
    for seed in (10002, 10001):
        again, recorded = run_episode(env, policy, seed), read_log(summary.folder)[seed]
        assert again.steps == recorded.steps == HORIZON
        assert again.episode_return == pytest.approx(recorded.episode_return, rel=1e-6)
        assert (again.success_any, again.success_end) == (
            recorded.success_any,
            recorded.success_end,
        )
    env.close()


def test_summary_has_the_times_of_every_stage(evaluated):
    _, _, summary = evaluated
    assert summary.task == TASK
    assert summary.latency_ms.keys() == {"points", "copy", "encoder", "network", "total"}
    decisions = 3 * -(-HORIZON // 3)
    for stage in summary.latency_ms.values():
        assert stage["n"] == decisions
        assert 0 < stage["p50"] <= stage["p95"] <= stage["p99"] <= stage["max"]


def test_failure_is_on_video_and_the_cloud_on_a_picture(evaluated):
    run, _, summary = evaluated
    # An untrained policy does not open the drawer, so there is no success to show.
    assert [path.name for path in (run / "videos").iterdir()] == ["two-failure.mp4"]
    video = read_video(run / "videos" / "two-failure.mp4")
    assert min(video.frames.shape[1:3]) >= 256
    assert len(video.frames) == len(range(0, HORIZON + 1, 3))
    assert video.fps == pytest.approx(80 / 3, abs=0.01)
    assert video.frames.std() > 10
    assert (summary.folder / "point_cloud.png").stat().st_size > 10_000


def test_record_without_latencies_is_the_same_with_one_worker(evaluated):
    run, make_env, summary = evaluated
    one = evaluate(run, make_env, episodes=3, workers=1, name="one", videos=False)

    def course(folder):
        return {s: dataclasses.replace(r, latencies_ms={}) for s, r in read_log(folder).items()}

    assert course(one.folder) == course(summary.folder)
