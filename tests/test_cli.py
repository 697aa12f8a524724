"""The command line: quick to answer, clear about mistakes, and the main job end to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import envs
import mfpolicy
from mfpolicy import cli
from mfpolicy.cli.eval import environment_of
from mfpolicy.config import compose
from mfpolicy.config.verbs import EXAMPLES
from mfpolicy.data import open_dataset
from mfpolicy.errors import UserError

HEAVY = ["gymnasium", "hydra", "imageio", "matplotlib", "metaworld", "mujoco", "numpy", "omegaconf"]
HEAVY += ["open3d", "rich", "safetensors", "scipy", "torch", "wandb", "yaml", "zarr"]
COMMAND = [sys.executable, "-m", "mfpolicy"]
TASK = "metaworld/drawer-open"


def _run(*words, **options):
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, timeout=120, check=False, **options
    )


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["doctor", "--help"]])
def test_help_imports_nothing_heavy(words):
    code = (
        "import sys\nfrom mfpolicy.cli import main\n"
        f"assert main({words!r}) == 0\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(heavy, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout
    assert done.stderr.strip() == "[]"


def test_importing_the_package_imports_nothing_heavy_until_a_name_is_used():
    code = (
        "import sys, mfpolicy\n"
        "assert 'torch' not in sys.modules\n"
        "assert 'meanflow' in mfpolicy.objectives.names()\n"
        "assert 'torch' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)


def test_the_package_offers_what_it_lists():
    assert set(mfpolicy.__all__) <= set(dir(mfpolicy))
    for name in mfpolicy.__all__:
        assert getattr(mfpolicy, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'load_polcy'"):
        _ = mfpolicy.load_polcy


def test_help_lists_every_verb_and_no_other(capsys):
    assert cli.main(["--help"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:2] == "  "]
    assert set(cli.VERBS) <= set(listed)
    assert cli.main([]) == 0


@pytest.mark.parametrize("verb", cli.VERBS)
def test_help_of_every_verb_ends_with_an_example_of_it(verb, capsys):
    assert cli.main([verb, "--help"]) == 0
    example = capsys.readouterr().out.splitlines()[-1].strip()
    assert example.startswith(f"mfpolicy {verb}")
    if verb in EXAMPLES:
        assert example == EXAMPLES[verb]


def test_help_follows_the_group_that_is_chosen(capsys):
    cli.main(["train", "policy=mp1", "--help"])
    words = capsys.readouterr().out.split()
    assert "policy=mp1" in words
    assert f"training.steps={compose('train', [*NEEDED, 'policy=mp1']).training.steps}" in words


NEEDED = [f"task={TASK}", "data=missing.zarr", "out=runs/x"]


def test_cfg_prints_the_configuration_and_does_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", *NEEDED, "seed=7", "--cfg"]) == 0
    assert "seed: 7" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "'train'"),
        (["train", "objetive=meanflow"], "'objective'"),
        (["train", *NEEDED, "objective=meanflw"], "'meanflow'"),
        (["train", *NEEDED, "training.steps=ten"], "whole number"),
        (["train", f"task={TASK}x", *NEEDED[1:]], f"'{TASK}'"),
        (["train", *NEEDED], "missing.zarr"),
        (["collect", "task=drawer-open", "out=x.zarr"], f"'{TASK}'"),
        (["collect", "task=metaworld/drawer-opne", "out=x.zarr"], f"'{TASK}'"),
        (["collect", f"task={TASK}", "out=x.zarr", "episode=3"], "'episodes'"),
        (["collect", f"task={TASK}", "out=x.zarr", "suite.state_dim=3"], "no option of this name"),
        (["eval", "runs/none"], "runs/none"),
        (["eval"], "run=…"),
        (["export", "runs/none"], "runs/none"),
        (["export", "runs/none", "format=onx"], "format must be one of onnx"),
        (["tasks", "metaworl"], "'metaworld'"),
        (["tasks", "difficulty=esay"], "'easy'"),
        (["tasks", "dificulty=easy"], "'difficulty'"),
        (["tasks", "set=mp1"], "'mp1_37'"),
        (["doctor", "--jsn"], "--json"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_reaches_the_shell_without_a_traceback():
    done = _run("train", "polcy=mp1")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "'policy'" in done.stderr


def test_debug_shows_where_an_error_came_from():
    with pytest.raises(UserError):
        cli.main(["--debug", "eval", "runs/none"])


def test_a_path_that_the_system_refuses_is_told_without_a_traceback(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    words = ["collect", f"task={TASK}", f"out={tmp_path}/file/d.zarr", "episodes=1"]
    assert cli.main(words) in (cli.USER_ERROR, cli.MACHINE_ERROR)
    assert str(tmp_path) in capsys.readouterr().err


def test_tasks_as_json_are_the_tasks(capsys):
    assert cli.main(["tasks", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [task["name"] for task in listed] == [task.name for task in envs.tasks()]


def test_the_table_of_tasks_has_every_name_whole_in_a_pipe(capsys):
    assert cli.main(["tasks"]) == 0
    words = capsys.readouterr().out.split()
    assert {task.name for task in envs.tasks()} <= set(words)


def test_filters_of_tasks_narrow_one_another(capsys):
    cli.main(["tasks", "metaworld", "difficulty=very_hard", "set=mp1_37", "--json"])
    names = {task["name"] for task in json.loads(capsys.readouterr().out)}
    published = {task.name for task in envs.task_set("mp1_37")}
    hard = {task.name for task in envs.tasks() if task.difficulty == "very hard"}
    assert names == published & hard
    assert names


def test_a_reader_that_closes_the_pipe_causes_no_traceback():
    with subprocess.Popen(
        [*COMMAND, "tasks"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(timeout=60)
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors


@pytest.mark.render
def test_ctrl_c_keeps_the_finished_episodes_and_the_same_command_goes_on(tmp_path):
    words = [
        "collect",
        f"task={TASK}",
        f"out={tmp_path}/d.zarr",
        "points=32",
        "suite.image_size=32",
    ]
    process = subprocess.Popen(
        [*COMMAND, *words, "episodes=500"], stderr=subprocess.PIPE, text=True
    )
    _wait_for(lambda: _episodes(tmp_path / "d.zarr") >= 1, process)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == cli.INTERRUPTED
    assert "Traceback" not in errors
    assert "interrupted" in errors
    kept = _episodes(tmp_path / "d.zarr")
    assert cli.main([*words, f"episodes={kept + 1}"]) == 0
    assert _episodes(tmp_path / "d.zarr") == kept + 1


def _episodes(path):
    try:
        return open_dataset(path).episode_count
    except UserError:
        return 0


def _wait_for(condition, process, timeout_s=90):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.render
@pytest.mark.slow
def test_the_main_job_runs_from_demonstrations_to_a_result(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data, run = tmp_path / "d.zarr", tmp_path / "run"
    collect = ["collect", f"task={TASK}", f"out={data}", "episodes=1", "points=64"]
    collect += ["suite.image_size=64"]
    train = ["train", f"task={TASK}", f"data={data}", f"out={run}", "policy.points=48"]
    train += ["training.steps=2", "training.batch_size=8", "resume=true", "logging.wandb=disabled"]
    evaluate = ["eval", str(run), "episodes=1", "workers=1", "videos=false", "device=cpu"]
    for words in (collect, train, evaluate):
        assert cli.main(words) == 0
    first = capsys.readouterr().out
    assert "95% interval" in first
    records = sorted(run.glob("eval/*/episodes.jsonl"))
    assert [json.loads(line)["seed"] for line in records[0].read_text().splitlines()] == [10000]

    recipe = environment_of(compose("eval", [str(run)])).keywords["recipe"]
    stored = open_dataset(data).spec.recipe
    assert (recipe.points, stored.points) == (48, 64)
    assert {**recipe.to_dict(), "points": 0} == {**stored.to_dict(), "points": 0}

    weights = (run / "model.safetensors").read_bytes()
    for words in (collect, train, evaluate):
        assert cli.main(words) == 0
    assert (run / "model.safetensors").read_bytes() == weights
    assert records == sorted(run.glob("eval/*/episodes.jsonl"))
    assert len(records[0].read_text().splitlines()) == 1
    assert os.getcwd() == str(tmp_path)
