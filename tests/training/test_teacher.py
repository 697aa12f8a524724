"""Runs whose objective learns from a teacher: one command trains both, and resumes both."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from mfpolicy import objectives
from mfpolicy.config import compose
from mfpolicy.errors import ConfigError, RunError, UserError
from mfpolicy.policy import Policy, load_policy, save_policy
from mfpolicy.training import train
from mfpolicy.training.loop import Trainer
from mfpolicy.types import Batch
from oracles.demonstrations import TASK, write_dataset

TAUGHT = [name for name in objectives.names() if "teacher" in objectives.OBJECTIVES.options(name)]
SHORT = "objective.teacher.steps=7"


def _weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def _assert_same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


def _steps(run: Path) -> list[int]:
    return [json.loads(x)["step"] for x in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def teacher(dataset, tmp_path_factory):
    """The run folder of a teacher of the size that ``configure`` gives."""
    out = tmp_path_factory.mktemp("taught") / "teacher"
    return train(compose("train", [*_words(dataset, out), "objective=flow_matching"])).run


def _words(dataset: Path, out: Path, steps: int = 12) -> list[str]:
    return [
        f"task={TASK}",
        f"data={dataset}",
        f"out={out}",
        "policy=mp1_small",
        "policy.points=32",
        "network.widths=[16]",
        "encoder.widths=[16,16]",
        f"training.steps={steps}",
        "training.batch_size=16",
        "training.checkpoint_every=5",
        "training.log_every=1",
        "logging.wandb=disabled",
    ]


@pytest.mark.parametrize("name", TAUGHT)
def test_one_command_trains_teacher_and_student(configure, name, tmp_path):
    run = train(configure(f"objective={name}", SHORT)).run
    assert _steps(run / "teacher")[-1] == 7
    assert _steps(run)[-1] == 12
    teacher = yaml.safe_load((run / "teacher" / "config.yaml").read_text())
    assert teacher["objective"] == {"name": "flow_matching"}
    assert load_policy(run / "teacher").spec.objective["name"] == "flow_matching"
    shutil.move(run / "teacher", tmp_path / "elsewhere")
    student = load_policy(run)
    observation = {"point_cloud": torch.rand(2, 2, 32, 3), "agent_pos": torch.rand(2, 2, 9)}
    assert student.predict(observation).shape == (2, 3, 4)
    assert student.objective.default_steps == 1


def test_the_teacher_is_the_run_that_trains_it_alone(configure, tmp_path):
    run = train(configure(f"objective={TAUGHT[-1]}")).run
    alone = train(configure("objective=flow_matching", f"out={tmp_path / 'alone'}")).run
    _assert_same(_weights(run / "teacher"), _weights(alone))


def test_a_given_teacher_is_taken_in_place_of_a_new_one(configure, tmp_path):
    run = train(configure(f"objective={TAUGHT[-1]}")).run
    given = (f"objective.teacher.run={run / 'teacher'}", f"out={tmp_path / 'given'}")
    other = train(configure(f"objective={TAUGHT[-1]}", *given)).run
    _assert_same(_weights(run), _weights(other))
    assert not (other / "teacher").exists()


@pytest.mark.parametrize("start", [True, False])
def test_the_student_starts_from_its_teacher_unless_told_otherwise(configure, teacher, start):
    words = [f"objective={TAUGHT[-1]}", f"objective.teacher.run={teacher}"]
    still = ["training.steps=1", "training.learning_rate=1e-12"]
    run = train(configure(*words, *still, f"objective.teacher.start={str(start).lower()}")).run
    left, right = _weights(run), _weights(teacher)
    apart = [n for n in left if not torch.allclose(left[n], right[n], rtol=0, atol=1e-6)]
    assert bool(apart) == (not start)
    assert not any(name.startswith("normalizer.") for name in apart)


def test_a_teacher_of_other_demonstrations_lends_its_normaliser_and_keeps_its_seeds_apart(
    configure, tmp_path
):
    data = write_dataset(tmp_path / "more.zarr", first_seed=90)
    other = train(configure("objective=flow_matching", f"data={data}", f"out={tmp_path / 'other'}"))
    run = train(configure(f"objective={TAUGHT[-1]}", f"objective.teacher.run={other.run}")).run
    left, right = _weights(run), _weights(other.run)
    names = [name for name in left if name.startswith("normalizer.")]
    assert names
    assert all(torch.equal(left[name], right[name]) for name in names)
    assert load_policy(run).spec.demonstration_seeds == [0, 1, 2, 3, 90, 91, 92, 93]


_PROGRAM = """
import sys
from mfpolicy.config import compose
from mfpolicy.training import train
train(compose("train", sys.argv[1:]))
"""
STEPS, TEACHERS_STEPS = 25, 22


def _long(dataset: Path, out: Path) -> list[str]:
    words = [word for word in _words(dataset, out, STEPS) if "checkpoint_every" not in word]
    return [
        *words,
        "training.checkpoint_every=8",
        f"objective={TAUGHT[-1]}",
        f"objective.teacher.steps={TEACHERS_STEPS}",
        "resume=true",
    ]


@pytest.fixture(scope="module")
def uninterrupted(dataset, tmp_path_factory):
    run = train(compose("train", _long(dataset, tmp_path_factory.mktemp("whole") / "run"))).run
    return _weights(run)


def _assert_goes_on(dataset: Path, run: Path, uninterrupted: dict[str, torch.Tensor]) -> None:
    assert train(compose("train", _long(dataset, run))).step == STEPS
    _assert_same(uninterrupted, _weights(run))
    assert _steps(run / "teacher") == list(range(1, TEACHERS_STEPS + 1))
    assert _steps(run) == list(range(1, STEPS + 1))


class _Crash(Exception):
    pass


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("phase", ["teacher", "student"])
def test_a_run_stopped_in_either_phase_goes_on_as_if_it_had_not_stopped(
    dataset, tmp_path, uninterrupted, monkeypatch, phase, crash
):
    one_step = Trainer._one_step

    def stopped(self):
        values = one_step(self)
        if self.step == 13 and (self.policy.objective.teacher is None) == (phase == "teacher"):
            if crash:
                raise _Crash
            os.kill(os.getpid(), signal.SIGTERM)
        return values

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_one_step", stopped)
        if crash:
            with pytest.raises(_Crash):
                train(compose("train", _long(dataset, run)))
        else:
            summary = train(compose("train", _long(dataset, run)))
            assert (summary.run, summary.interrupted) == (run, True)
            assert summary.step == (0 if phase == "teacher" else 13)
    assert (run / "teacher.json").is_file() == (phase == "student")
    _assert_goes_on(dataset, run, uninterrupted)


@pytest.mark.slow
def test_a_killed_process_goes_on_too(dataset, tmp_path, uninterrupted):
    run = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, *_long(dataset, run)])
    deadline = time.monotonic() + 120
    while not (run / "teacher" / "training_state").is_dir():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    assert process.wait(timeout=120) == -signal.SIGKILL
    _assert_goes_on(dataset, run, uninterrupted)


@pytest.mark.slow
def test_two_processes_train_teacher_and_student_as_one_does(dataset, tmp_path):
    words = [*_words(dataset, tmp_path / "two"), f"objective={TAUGHT[0]}", SHORT, "device=cpu"]
    words.append("training.micro_batches=2")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [sys.executable, *torchrun, "-m", "mfpolicy", "train", *words]
    subprocess.run(command, check=True, timeout=200)
    alone = train(compose("train", [w.replace("/two", "/one") for w in words])).run
    for part in ("teacher", "."):
        left, right = _weights(tmp_path / "two" / part), _weights(alone / part)
        assert left.keys() == right.keys()
        for name in left:
            torch.testing.assert_close(left[name], right[name], rtol=1e-4, atol=1e-5)


def test_a_finished_teacher_is_not_trained_again(configure, monkeypatch):
    words = [f"objective={TAUGHT[-1]}", SHORT]
    run = train(configure(*words)).run
    shutil.rmtree(run / "training_state")
    steps = []
    one_step = Trainer._one_step

    def counted(self):
        steps.append(self.policy.objective)
        return one_step(self)

    monkeypatch.setattr(Trainer, "_one_step", counted)
    before = _weights(run)
    train(configure(*words, "resume=true"))
    assert {type(objective).__name__ for objective in steps} == {
        objectives.OBJECTIVES.get(TAUGHT[-1]).__name__
    }
    _assert_same(before, _weights(run))


def test_a_resume_with_a_changed_teacher_is_refused(configure, teacher, tmp_path):
    mine = shutil.copytree(teacher, tmp_path / "mine")
    words = [f"objective={TAUGHT[-1]}", f"objective.teacher.run={mine}"]
    train(configure(*words))
    policy = load_policy(mine)
    policy.network.film_time.weight.data.add_(1)
    save_policy(policy, mine)
    with pytest.raises(RunError, match="the teacher it started with"):
        train(configure(*words, "resume=true"))


def _saved(teacher: Path, to: Path, **changes) -> Path:
    """A policy untrained, of the teacher's spec with ``changes``."""
    spec = dataclasses.replace(load_policy(teacher).spec, **changes)
    save_policy(Policy(spec), to)
    return to


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"action_dim": 5}, RunError, "action_dim: 5 for 4"),
        ({"state_dim": 7}, RunError, "state_dim: 7 for 9"),
        ({"n_obs_steps": 1}, RunError, "n_obs_steps: 1 for 2"),
        ({"task": "metaworld/reach"}, RunError, "task: 'metaworld/reach' for"),
        ({"recipe": None}, RunError, "recipe: None for"),
        ({"points": 16}, RunError, "points: 16 for 32"),
        ({"objective": {"name": "ddim"}}, ConfigError, "velocity at every point. Received: 'ddim'"),
        (
            {"objective": {"name": "consistency_flow_matching"}},
            ConfigError,
            "velocity at every point",
        ),
        (
            {"network": {"name": "unet1d", "widths": [8, 8, 8]}},
            ConfigError,
            "objective.teacher.start=false",
        ),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused_before_anything_is_written(
    configure, teacher, tmp_path, changes, error, words
):
    other = _saved(teacher, tmp_path / "other", **changes)
    with pytest.raises(error) as caught:
        train(configure(f"objective={TAUGHT[-1]}", f"objective.teacher.run={other}"))
    assert words in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["objective.teacher.run=runs/nowhere"], "must hold model.safetensors"),
        (["objective.teacher.objective=regression"], "velocity at every point"),
        (["objective.teacher.objective=flow_machting"], "did you mean 'flow_matching'"),
        (["objective.teacher.steps=0"], "teacher.steps must be in"),
        (["objective.teacher.run=a", "objective.teacher.steps=3"], "leave one of them out"),
        (["objective.teacher.stepz=3"], "objective.teacher.steps"),
        (["training.batch_size=1000"], "training.batch_size=80"),
    ],
)
def test_a_mistake_about_the_teacher_is_named_before_anything_is_written(
    configure, tmp_path, overrides, words
):
    with pytest.raises(UserError) as caught:
        train(configure(f"objective={TAUGHT[-1]}", *overrides))
    assert words in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_teacher_with_another_network_can_teach(configure, teacher, tmp_path):
    other = _saved(teacher, tmp_path / "other", network={"name": "unet1d", "widths": [8, 8, 8]})
    words = [f"objective={TAUGHT[-1]}", f"objective.teacher.run={other}"]
    assert train(configure(*words, "objective.teacher.start=false")).step == 12


def _batch(rows: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        point_cloud=torch.rand(rows, 2, 32, 3, generator=generator),
        agent_pos=torch.rand(rows, 2, 9, generator=generator),
        action=torch.rand(rows, 4, 4, generator=generator),
        episode=torch.zeros(rows, dtype=torch.int64),
        step=torch.arange(rows),
    )


@pytest.mark.parametrize("name", TAUGHT)
def test_the_teacher_is_neither_trained_nor_saved(teacher, name):
    frozen = load_policy(teacher)
    before = {key: value.clone() for key, value in frozen.state_dict().items()}
    student = Policy(dataclasses.replace(frozen.spec, objective={"name": name}))
    names = set(student.state_dict())
    student.learn_from(frozen)
    assert set(student.state_dict()) == names
    loss, _ = student.loss(_batch(), torch.Generator().manual_seed(0))
    loss.backward()
    assert all(parameter.grad is None for parameter in frozen.parameters())
    assert any(parameter.grad is not None for parameter in student.parameters())
    _assert_same(before, frozen.state_dict())


@pytest.mark.parametrize("name", TAUGHT)
def test_the_teacher_sees_the_observations_of_the_batch(teacher, name):
    frozen = load_policy(teacher)
    student = Policy(dataclasses.replace(frozen.spec, objective={"name": name}))
    student.learn_from(frozen)
    losses = []
    for shift in (0.0, 0.5):
        frozen.normalizer.agent_pos.offset.fill_(shift)  # the teacher's alone
        loss, _ = student.loss(_batch(), torch.Generator().manual_seed(0))
        losses.append(loss.item())
    assert losses[0] != losses[1]


@pytest.mark.parametrize("name", TAUGHT)
def test_without_a_teacher_the_loss_is_refused(teacher, name):
    student = Policy(dataclasses.replace(load_policy(teacher).spec, objective={"name": name}))
    with pytest.raises(ConfigError, match="learns from a teacher"):
        student.loss(_batch(), torch.Generator().manual_seed(0))


def test_the_help_explains_the_teacher_where_there_is_one():
    from mfpolicy.config.describe import describe

    for name in TAUGHT:
        options = {option.key: option for option in describe("train", [f"objective={name}"])}
        keys = [key for key in options if key.startswith("objective.teacher.")]
        assert len(keys) == 4
        assert all(options[key].meaning for key in keys)
    plain = [option.key for option in describe("train", ["objective=flow_matching"])]
    assert not any("teacher" in key for key in plain)
