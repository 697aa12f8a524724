from __future__ import annotations

import dataclasses
import functools
import json
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from evaluation.fakes import ForgetfulEnv, ReachEnv
from evaluation.run_folders import STEPS, write_run
from mfpolicy.errors import BackendError, ConfigError, RunError
from mfpolicy.evaluation import evaluate, read_summary, run_episode, success_rate
from mfpolicy.evaluation.records import read_log
from mfpolicy.evaluation.services import EpisodeService
from mfpolicy.pointcloud import PointCloudRecipe
from mfpolicy.policy import load_policy

EPISODES = 6
pytestmark = pytest.mark.usefixtures("workers_of_a_server")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run") / "reach")


def records(run: Path, name: str) -> dict[int, dict]:
    lines = (run / "eval" / name / "episodes.jsonl").read_text().splitlines()
    episodes = {}
    for line in lines:
        episode = json.loads(line)
        del episode["latencies_ms"]
        episodes[episode["seed"]] = episode
    assert len(episodes) == len(lines)
    return episodes


def evaluate_plainly(run: Path, **options):
    return evaluate(run, ReachEnv, **{"episodes": EPISODES, "videos": False, **options})


@pytest.fixture(scope="module")
def one_worker(run: Path):
    return evaluate_plainly(run, workers=1, name="one-worker")


def test_number_of_workers_does_not_change_a_result(run, one_worker):
    two = evaluate_plainly(run, workers=2, name="two-workers")
    assert records(run, "two-workers") == records(run, "one-worker")
    for field in ("success_any", "success_end", "mean_return", "mean_steps", "clipped_share"):
        assert getattr(two, field) == getattr(one_worker, field)


def test_workers_give_what_the_plain_loop_gives(run, one_worker):
    policy, env = load_policy(run), ReachEnv()
    recorded = records(run, "one-worker")
    for seed in recorded:
        result = run_episode(env, policy, seed)
        assert recorded[seed]["episode_return"] == pytest.approx(result.episode_return, rel=1e-5)
        assert recorded[seed]["success_any"] == result.success_any


def test_summary_counts_the_records(run, one_worker):
    recorded = records(run, "one-worker")
    assert sorted(recorded) == list(range(10000, 10000 + EPISODES))
    assert one_worker.seeds == (10000, 10000 + EPISODES - 1)
    for flag in ("success_any", "success_end"):
        expected = success_rate([episode[flag] for episode in recorded.values()])
        assert getattr(one_worker, flag) == expected
    # The fake is only a test of the counting if it knows both outcomes.
    assert 0 < one_worker.success_any.k < EPISODES
    returns = [episode["episode_return"] for episode in recorded.values()]
    assert one_worker.mean_return == pytest.approx(sum(returns) / EPISODES)
    assert (one_worker.checkpoint_step, one_worker.nfe) == (STEPS, 1)
    assert one_worker.latency_ms["total"]["n"] == sum(
        len(result.latencies_ms["total"]) for result in read_log(one_worker.folder).values()
    )


def test_summary_reads_back_as_it_was_written(one_worker):
    assert read_summary(one_worker.folder) == one_worker


def test_interrupted_evaluation_runs_only_what_is_missing(run, one_worker):
    shutil.copytree(one_worker.folder, run / "eval" / "resumed")
    log = run / "eval" / "resumed" / "episodes.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    kept, torn = "".join(lines[1:3]), lines[4][:30]
    log.write_text(kept + torn)
    seen = []
    summary = evaluate_plainly(
        run,
        workers=1,
        name="resumed",
        progress=lambda done, total, result: seen.append((done, total, result.seed)),
    )
    assert summary.new_episodes == EPISODES - 2
    assert log.read_text().startswith(kept)
    assert records(run, "resumed") == records(run, "one-worker")
    assert [done for done, _, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert {seed for _, _, seed in seen[:2]} == {json.loads(line)["seed"] for line in lines[1:3]}
    assert {total for _, total, _ in seen} == {EPISODES}
    assert summary.success_any == one_worker.success_any


def test_summary_counts_the_seeds_that_were_asked_for(run, one_worker):
    shutil.copytree(one_worker.folder, run / "eval" / "part")
    part = evaluate_plainly(run, workers=2, name="part", episodes=2)
    outcomes = [records(run, "part")[seed]["success_any"] for seed in (10000, 10001)]
    assert (part.episodes, part.new_episodes, part.seeds) == (2, 0, (10000, 10001))
    assert part.success_any == success_rate(outcomes)
    # Nothing ran, so what was measured is still said to be measured as it was.
    for fact in ("workers", "wall_seconds", "date"):
        assert getattr(part, fact) == getattr(one_worker, fact)
    assert records(run, "part") == records(run, "one-worker")


def test_other_settings_under_the_same_name_are_refused(run, one_worker):
    before = (one_worker.folder / "episodes.jsonl").read_bytes()
    both = r"nfe: 1 recorded, 2 wanted; seed: 10000 recorded, 5 wanted"
    with pytest.raises(RunError, match=rf"'one-worker'.*{both}.*another name"):
        evaluate_plainly(run, workers=1, name="one-worker", steps=2, seed=5)
    assert (one_worker.folder / "episodes.jsonl").read_bytes() == before


def test_another_scale_of_the_noise_is_another_evaluation(run, one_worker, tmp_path):
    noisy, run = records(run, "one-worker"), shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(run / "eval")
    still = evaluate(run, ReachEnv, episodes=2, workers=1, noise_scale=0.0)
    assert (still.name, still.noise_scale) == ("reach-seed10000-nfe1-noise0", 0)
    assert len(list((run / "videos").glob(f"{still.name}-*.mp4"))) > 0  # replayed without noise
    policy, env = load_policy(run), ReachEnv()
    for seed, recorded in records(run, still.name).items():
        again = run_episode(env, policy, seed, noise_scale=0.0)
        assert recorded["episode_return"] == pytest.approx(again.episode_return, rel=1e-5)
        assert recorded["episode_return"] != noisy[seed]["episode_return"]
    assert "noise_scale=0" in (run / "README.md").read_text()
    with pytest.raises(RunError, match=r"noise_scale: 0\.0 recorded, 0\.5 wanted"):
        evaluate_plainly(run, workers=1, name=still.name, noise_scale=0.5)
    with pytest.raises(ConfigError, match="noise_scale must be in"):
        evaluate_plainly(run, noise_scale=-1.0)


def test_the_guidance_scale_is_chosen_for_an_evaluation(run, tmp_path):
    guided = {"name": "improved_meanflow", "scale_input": {"active": True, "scale": 1.0}}
    chosen = write_run(tmp_path / "reach", objective=guided)
    own = evaluate_plainly(chosen, workers=1, episodes=2)
    strong = evaluate_plainly(chosen, workers=1, episodes=2, guidance_scale=8.0)
    assert (own.guidance_scale, strong.guidance_scale) == (None, 8.0)
    assert strong.name == f"{own.name}-guidance8"
    assert own.mean_return != strong.mean_return
    with pytest.raises(ConfigError, match="network takes it as an input"):
        evaluate_plainly(run, workers=1, guidance_scale=2.0)


def test_no_steps_are_the_objectives_own(tmp_path):
    run = write_run(tmp_path / "reach", objective={"name": "flow_matching", "inference_steps": 3})
    default = evaluate_plainly(run, workers=1, episodes=2)
    assert default.nfe == 3
    assert evaluate_plainly(run, workers=1, episodes=2, steps=3).new_episodes == 0
    evaluate_plainly(run, workers=1, episodes=2, steps=3, name="told")
    assert records(run, "told") == records(run, default.name)


def test_other_weights_get_a_fresh_folder_without_a_name(tmp_path):
    run = write_run(tmp_path / "reach")
    first = evaluate_plainly(run, workers=1, episodes=1)
    write_run(run, weights_seed=1)
    retrained = evaluate_plainly(run, workers=1, episodes=1)
    assert first.name == "reach-seed10000-nfe1"
    assert retrained.name == "reach-seed10000-nfe1-2"
    assert retrained.mean_return != first.mean_return


def test_killed_worker_is_an_error_that_names_the_seed(run):
    make_env = functools.partial(ReachEnv, die_at=10003)
    with pytest.raises(RunError, match="it died at seed 10003.*SIGKILL.*same command again"):
        evaluate(run, make_env, episodes=EPISODES, workers=2, videos=False, name="killed")
    finished = records(run, "killed")
    assert 10003 not in finished
    summary = evaluate_plainly(run, workers=1, name="killed")
    assert summary.new_episodes == EPISODES - len(finished)
    assert multiprocessing.active_children() == []


def test_raising_worker_is_an_error_that_names_the_seed_and_keeps_the_cause(run):
    make_env = functools.partial(ReachEnv, raise_at=10002)
    with pytest.raises(RunError, match="seed 10002: ZeroDivisionError: the simulator") as caught:
        evaluate(run, make_env, episodes=4, workers=1, videos=False, name="raised")
    assert "fakes.py" in str(caught.value.__cause__)
    assert set(records(run, "raised")) == {10000, 10001}


def _evaluate_slowly(run: Path, name: str) -> None:
    evaluate(
        run,
        functools.partial(ReachEnv, horizon=3000),
        episodes=50,
        workers=1,
        videos=False,
        name=name,
    )


def test_killed_evaluation_keeps_its_episodes_and_leaves_no_worker(run):
    process = multiprocessing.get_context("spawn").Process(
        target=_evaluate_slowly, args=(run, "murdered")
    )
    process.start()
    log, deadline = run / "eval" / "murdered" / "episodes.jsonl", time.monotonic() + 60
    while not log.is_file() or log.read_bytes().count(b"\n") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = _children(process.pid)
    assert children
    process.kill()
    process.join()
    assert len(read_log(log.parent)) >= 2
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _children(pid: int | None) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_ctrl_c_ends_the_workers_and_keeps_the_episodes(run):
    def interrupt(done, total, result):
        if done == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        evaluate_plainly(run, workers=1, name="interrupted", progress=interrupt)
    assert multiprocessing.active_children() == []
    assert len(records(run, "interrupted")) == 2


def test_ctrl_c_is_the_business_of_the_parent_alone(run):
    # A terminal sends it to the whole process group; a worker must finish its episode.
    def interrupt_workers(done, total, result):
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGINT)

    summary = evaluate_plainly(run, workers=1, name="calm", progress=interrupt_workers)
    assert summary.new_episodes == EPISODES


def test_two_evaluations_do_not_write_to_the_same_folder(run):
    def evaluate_again(done, total, result):
        with pytest.raises(RunError, match="one writer at a time"):
            evaluate_plainly(run, workers=1, name="crowded")

    summary = evaluate_plainly(run, workers=1, episodes=1, name="crowded", progress=evaluate_again)
    assert summary.new_episodes == 1


@pytest.mark.parametrize("missing", ["config.yaml", "model.safetensors"])
def test_missing_file_is_named_with_a_remedy(tmp_path, missing):
    run = write_run(tmp_path / "reach")
    (run / missing).unlink()
    with pytest.raises(RunError, match=rf"must hold {missing}.*(again|resume=true)"):
        evaluate_plainly(run)
    assert not (run / "eval").exists()


def test_missing_run_is_named(tmp_path):
    with pytest.raises(RunError, match="must be a folder.*nowhere"):
        evaluate_plainly(tmp_path / "nowhere")


def test_environment_of_other_dimensions_is_refused_with_both(run):
    with pytest.raises(RunError, match="state dimensions. Received: 'policy 4, environment 7'"):
        EpisodeService(run, functools.partial(ReachEnv, state_dim=7))


def test_environment_with_too_few_points_is_refused_with_both(run):
    with pytest.raises(RunError, match=r"policy 16, environment 8.*points=16"):
        EpisodeService(run, functools.partial(ReachEnv, points=8))


def test_environment_of_another_recipe_is_refused_with_both(tmp_path):
    recipe = PointCloudRecipe("corner", (1, 0, 1), 84, (-1, -1, 0), (1, 1, 1), points=16)
    run = write_run(tmp_path / "reach", recipe=recipe.to_dict())
    made = []

    def make_env(**changes):
        made.append(ReachEnv())
        made[-1].recipe = dataclasses.replace(recipe, **changes)
        return made[-1]

    with pytest.raises(RunError, match=r"recipe's crop_max.*policy \[1.*environment \[2"):
        EpisodeService(run, functools.partial(make_env, crop_max=(2, 1, 1)))
    assert made[0].closed
    # More points are no other recipe: the policy takes the first of them.
    EpisodeService(run, functools.partial(make_env, points=24))


def _no_display() -> ReachEnv:
    raise BackendError("rendering needs EGL", remedy="apt install libegl1")


def test_error_that_names_a_remedy_arrives_as_it_was_raised(run):
    with pytest.raises(BackendError, match="apt install libegl1"):
        evaluate(run, _no_display, episodes=1, videos=False)


def test_environment_that_cannot_be_pickled_is_refused(run):
    with pytest.raises(RunError, match=r"picklable.*functools\.partial"):
        evaluate(run, lambda: ReachEnv(), episodes=1, videos=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"episodes": 0}, "episodes must be at least 1. Received: 0"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"name": "../elsewhere"}, "name of one folder"),
        ({"name": ".."}, "name of one folder"),
    ],
)
def test_argument_out_of_range_is_refused(run, options, message):
    with pytest.raises(ConfigError, match=message):
        evaluate_plainly(run, **options)


def test_replay_that_takes_another_course_is_refused(run):
    with pytest.raises(RunError, match="replay of seed 1000.*must take the course"):
        evaluate(run, ForgetfulEnv, episodes=3, workers=1, name="forgetful")
    assert list((run / "videos").glob("forgetful*")) == []
    assert read_summary(run / "eval" / "forgetful").episodes == 3
