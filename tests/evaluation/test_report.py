from __future__ import annotations

import dataclasses
import functools
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import yaml

from evaluation.fakes import TASK, ReachEnv
from evaluation.mp4 import read_video
from evaluation.run_folders import write_run
from mfpolicy.errors import RunError
from mfpolicy.evaluation import (
    evaluate,
    learning_curve,
    read_summary,
    run_episode,
    summary_rows,
    summary_table,
)
from mfpolicy.evaluation.conditions import Conditions
from mfpolicy.evaluation.model_card import write_model_card
from mfpolicy.evaluation.pictures import draw_point_cloud
from mfpolicy.evaluation.records import read_log
from mfpolicy.evaluation.report import record_videos
from mfpolicy.evaluation.run_folder import checkpoint_step
from mfpolicy.evaluation.video import VideoWriter
from mfpolicy.policy import load_policy

NAME = "filmed"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run") / "reach")


@pytest.fixture(scope="module")
def filmed(run: Path):
    return evaluate(run, ReachEnv, episodes=6, workers=1, name=NAME)


def test_there_is_a_video_of_a_success_and_of_a_failure(run, filmed):
    names = {path.name for path in (run / "videos").iterdir()}
    assert names == {f"{NAME}-success.mp4", f"{NAME}-failure.mp4"}


def test_video_shows_the_recorded_episode_from_start_to_end(run, filmed):
    results = read_log(filmed.folder).values()
    failure = next(r for r in sorted(results, key=lambda r: r.seed) if not r.success_any)
    env, states = ReachEnv(render_mode="rgb_array"), []
    run_episode(env, load_policy(run), failure.seed, on_state=lambda _: states.append(env.render()))
    video = read_video(run / "videos" / f"{NAME}-failure.mp4")
    # 60 control steps a second become 30 frames a second: every other state, in real time.
    assert (video.codec, video.fps) == ("h264", 30.0)
    assert len(video.frames) == len(states[::2])
    for frame, state in zip(video.frames, states[::2], strict=True):
        assert min(frame.shape[:2]) >= 256
        shown = state.repeat(3, axis=0).repeat(3, axis=1).astype(float)
        assert np.abs(frame - shown).mean() < 4.0
    assert np.abs(video.frames[0].astype(float) - video.frames[-1]).mean() > 0.5


def test_pictures_are_there_and_not_blank(filmed):
    for name in ("point_cloud.png", "learning_curve.png"):
        picture = matplotlib.image.imread(filmed.folder / name)
        assert picture[..., :3].std() > 0.05


def test_unchanged_evaluation_keeps_its_videos(run, filmed):
    video = run / "videos" / f"{NAME}-success.mp4"
    results = list(read_log(filmed.folder).values())
    unchanged = dataclasses.replace(filmed, new_episodes=0)
    before = video.stat().st_mtime_ns
    assert video in record_videos(unchanged, results, ReachEnv, Conditions())
    assert video.stat().st_mtime_ns == before
    video.unlink()
    record_videos(unchanged, results, ReachEnv, Conditions())
    assert video.is_file()


def _film_and_fail(path: Path) -> None:
    with VideoWriter(path, 20.0) as video:
        video.add(np.zeros((256, 256, 3), np.uint8))
        raise ZeroDivisionError


def test_failed_recording_leaves_no_video(tmp_path):
    with pytest.raises(ZeroDivisionError):
        _film_and_fail(tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("rate_hz", "fps", "stride"), [(80.0, 80 / 3, 3), (20, 20, 1), (None, 20, 1)]
)
def test_video_plays_in_real_time(tmp_path, rate_hz, fps, stride):
    video = VideoWriter(tmp_path / "clip.mp4", rate_hz)
    assert video.fps == pytest.approx(fps)
    assert [step for step in range(7) if video.wants(step)] == list(range(0, 7, stride))


def test_cloud_picture_changes_with_the_cloud(tmp_path):
    points = np.random.default_rng(0).normal(size=(64, 3))
    pictures = []
    for name, cloud in (("a", points), ("b", points), ("c", points * [1, 1, 3])):
        draw_point_cloud(tmp_path / f"{name}.png", cloud)
        pictures.append(matplotlib.image.imread(tmp_path / f"{name}.png"))
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_learning_curve_needs_metrics_and_passes_over_a_torn_line(tmp_path):
    run = write_run(tmp_path / "reach")
    metrics = run / "metrics.jsonl"
    metrics.write_text(metrics.read_text() + '{"step": 41, "lo')
    assert learning_curve(run, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").is_file()
    metrics.unlink()
    assert not learning_curve(run, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_step_of_the_weights_is_the_newest_state_then_the_last_metric(tmp_path):
    run = write_run(tmp_path / "reach")
    assert checkpoint_step(run) == 40
    (run / "training_state").mkdir()
    for step in (10, 30):
        (run / "training_state" / f"step-{step:08d}.safetensors").touch()
    assert checkpoint_step(run) == 30


def front_matter(card: str) -> dict:
    _, header, _ = card.split("---\n", 2)
    return yaml.safe_load(header)


def test_card_says_what_the_summary_says(run, filmed):
    card = (run / "README.md").read_text()
    assert str(filmed.success_any) in card
    assert str(filmed.success_end) in card
    assert f"{filmed.latency_ms['total']['p50']:.2f}" in card
    for word in (TASK.name, "data/reach.zarr", "meanflow", "steps: 40", "License"):
        assert word in card
    (entry,) = front_matter(card)["model-index"]
    assert [m["value"] for m in entry["results"][0]["metrics"]] == [
        filmed.success_any.rate,
        filmed.success_end.rate,
    ]


def test_card_links_to_files_that_exist(run, filmed):
    links = re.findall(r"\]\(([^)]+)\)", (run / "README.md").read_text())
    assert len(links) == 4
    assert all((run / link).is_file() for link in links)


def test_card_is_made_from_the_files_alone(run, filmed, tmp_path):
    card = run / "README.md"
    text = card.read_text()
    card.unlink()
    write_model_card(run)
    assert card.read_text() == text


def test_python_in_the_card_runs_as_it_stands(run, filmed):
    code = (run / "README.md").read_text().split("```python\n")[1].split("```")[0]
    names = {
        "point_cloud": np.zeros((1, 2, 16, 3), np.float32),
        "agent_pos": np.zeros((1, 2, TASK.state_dim), np.float32),
    }
    exec(code, names)
    assert names["actions"].shape == (1, 3, 2)


def test_command_in_the_card_is_understood_by_the_command_line(run, filmed):
    from mfpolicy.config import compose

    command = (run / "README.md").read_text().split("```bash\n")[1].split("\n```")[0].split()
    assert command[:2] == ["mfpolicy", "eval"]
    config = compose("eval", command[2:])
    assert (config.run, config.episodes, config.seed) == (str(run), 6, 10000)


def test_card_of_a_run_without_evaluation(tmp_path):
    run = write_run(tmp_path / "reach", task=None)
    card = write_model_card(run).read_text()
    assert "model-index" not in front_matter(card)
    assert "## Results" not in card


def test_console_says_success_latency_and_where_things_are(run, filmed):
    rows = dict(summary_rows(filmed))
    assert rows["success at any step"] == str(filmed.success_any)
    assert f"p99 {filmed.latency_ms['total']['p99']:.2f} ms" in rows["latency of a decision"]
    assert Path(rows["results"]).is_dir()
    assert Path(rows["model card"]).is_file()
    assert Path(rows["video"]).is_file()
    from rich.console import Console

    console = Console(width=300, file=io.StringIO(), record=True)
    console.print(summary_table(filmed))
    printed = console.export_text()
    assert all(value in printed for value in rows.values())


def test_damaged_summary_is_named(run, filmed, tmp_path):
    folder = tmp_path / "eval"
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps({"schema": 1}))
    with pytest.raises(RunError, match=r"summary\.json must be an evaluation summary"):
        read_summary(folder)
    with pytest.raises(RunError, match=r"must hold summary\.json"):
        read_summary(tmp_path)


def test_nothing_that_draws_is_imported_before_it_is_needed():
    code = (
        "import sys, mfpolicy.evaluation; "
        "print({'matplotlib', 'imageio', 'rich', 'scipy', 'zarr'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


def test_script_without_a_main_guard_gets_the_remedy_and_no_hang(run, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from evaluation.fakes import ReachEnv\n"
        "from mfpolicy.evaluation import evaluate\n"
        f"evaluate({str(run)!r}, ReachEnv, episodes=1, videos=False, name='unguarded')\n"
    )
    path = {"PYTHONPATH": f"{Path(__file__).parents[1]}:{Path(__file__).parents[2]}"}
    shown = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=path, timeout=100
    )
    assert shown.returncode != 0
    assert "below `if __name__ == '__main__':`" in shown.stderr


def test_seeds_of_the_demonstrations_are_refused(tmp_path):
    trained = write_run(tmp_path / "run", demonstration_seeds=[20, 21, 25])
    make_env = functools.partial(ReachEnv, horizon=3)
    with pytest.raises(RunError, match=r"2 shared: 21 to 25.*seed=10000"):
        evaluate(trained, make_env, episodes=5, seed=21, workers=1, videos=False)
    assert evaluate(trained, make_env, episodes=3, seed=22, workers=1, videos=False).episodes == 3
