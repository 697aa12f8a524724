"""One policy of two tasks, from its command line to a policy of one of them."""

import json

import pytest
import torch
import yaml

from mfpolicy.config import compose
from mfpolicy.config.tasks import check_tasks
from mfpolicy.errors import ConfigError, DataError, ObservationError, RunError, TaskError
from mfpolicy.evaluation.run_folder import check_unseen
from mfpolicy.policy import load_policy, read_spec, save_policy
from mfpolicy.training import train
from oracles.demonstrations import RECIPE, STATE_DIM, write_dataset

DRAWER, BUTTON = TASKS = ("metaworld/drawer-open", "metaworld/button-press")
SMALL = (
    *("policy=mp1_small", "policy.points=32", "network.widths=[16,16,16]", "encoder.widths=[16]"),
    *("training.steps=6", "training.batch_size=10", "training.checkpoint_every=3"),
    *("training.log_every=2", "logging.wandb=disabled", "multitask.condition.dim=5"),
    *("objective.guidance.kind=cfg", "objective.dispersive.kind=info_nce_l2"),
)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return {
        DRAWER: write_dataset(folder / "drawer.zarr", episodes=2, first_seed=0, task=DRAWER),
        BUTTON: write_dataset(folder / "button.zarr", episodes=3, first_seed=7, task=BUTTON),
    }


def _config(datasets, out, *more, tasks=TASKS):
    words = {
        "task": "[" + ",".join(tasks) + "]",
        "data": "[" + ",".join(str(datasets[task]) for task in tasks) + "]",
        "out": out,
        **dict(word.split("=", 1) for word in (*SMALL, *more)),
    }
    return compose("train", [f"{key}={value}" for key, value in words.items()])


@pytest.fixture(scope="module")
def run(datasets, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "several"
    train(_config(datasets, out))
    return out


@pytest.fixture(scope="module")
def policy(run):
    return load_policy(run)


def _observation(rows=3, **more):
    generator = torch.Generator().manual_seed(5)
    return {
        "point_cloud": torch.rand(rows, 2, 32, 3, generator=generator),
        "agent_pos": torch.rand(rows, 2, STATE_DIM, generator=generator),
        **more,
    }


NOISE = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(6))


def test_the_run_says_what_it_saw_of_each_task(run, policy):
    described = yaml.safe_load((run / "data.yaml").read_text())["datasets"]
    assert {task: said["seeds"] for task, said in described.items()} == {
        DRAWER: [0, 1],
        BUTTON: [7, 8, 9],
    }
    assert policy.spec.tasks == TASKS
    assert policy.spec.task is None
    assert policy.spec.for_task(BUTTON).demonstration_seeds == [7, 8, 9]
    assert policy.spec.recipe == RECIPE.to_dict()
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["task"] == list(TASKS)
    assert config["multitask"]["sampling"] == "task"


def test_a_policy_of_one_task_decides_as_the_policy_that_is_told_it(policy, tmp_path):
    answers = [policy.predict(_observation(task=task), noise=NOISE) for task in TASKS]
    assert not answers[0].equal(answers[1])
    for task, answer in zip(TASKS, answers, strict=True):
        single = policy.for_task(task)
        assert single.predict(_observation(), noise=NOISE).equal(answer)
        assert single.predict(_observation(task=task), noise=NOISE).equal(answer)
        save_policy(single, tmp_path / task)
        loaded = load_policy(tmp_path / task)
        assert loaded.predict(_observation(), noise=NOISE).equal(answer)
        assert (loaded.spec.task, loaded.spec.tasks, loaded.spec.several) == (task, (task,), False)
    mixed = policy.predict(_observation(task=[BUTTON, DRAWER, BUTTON]), noise=NOISE)
    torch.testing.assert_close(mixed[::2], answers[1][::2])
    torch.testing.assert_close(mixed[1], answers[0][1])


def test_only_the_tasks_of_a_batch_move_their_embedding(policy, datasets):
    from mfpolicy.data import WindowDataset, open_dataset
    from mfpolicy.data.joint import JointWindows

    sizes = {"n_obs_steps": 2, "horizon": 4, "n_action_steps": 3}
    windows = JointWindows(
        {task: WindowDataset(open_dataset(data), **sizes) for task, data in datasets.items()}
    )
    policy.zero_grad()
    batch = windows.batch(torch.arange(40, 48))  # of the second
    policy.loss(batch, torch.Generator().manual_seed(0))[0].backward()
    gradient = policy.encoder.task.table.grad
    assert not gradient[0].any()
    assert gradient[1].any()
    assert policy.null.grad is not None
    policy.zero_grad()


def test_a_stopped_run_goes_on_bit_for_bit(datasets, run, policy, tmp_path):
    from mfpolicy.training.loop import Trainer

    whole = Trainer._one_step

    def stop_after_four(trainer):
        if trainer.step == 4:
            raise KeyboardInterrupt
        whole(trainer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_one_step", stop_after_four)
        with pytest.raises(KeyboardInterrupt):
            train(_config(datasets, tmp_path / "run"))
    train(_config(datasets, tmp_path / "run", "resume=true"))
    resumed = load_policy(tmp_path / "run").state_dict()
    assert all(value.equal(resumed[name]) for name, value in policy.state_dict().items())


def test_a_resume_with_another_dataset_of_one_task_names_the_task(datasets, run, tmp_path):
    other = write_dataset(tmp_path / "other.zarr", episodes=3, first_seed=20, task=BUTTON)
    with pytest.raises(RunError, match=r"datasets\.metaworld/button-press\.seeds"):
        train(_config({**datasets, BUTTON: other}, run, "resume=true"))
    with pytest.raises(RunError, match=r"config\.yaml: task: "):
        train(_config(datasets, run, "resume=true", tasks=(BUTTON, DRAWER)))


def test_a_forced_change_of_a_dataset_keeps_the_seeds_of_both(datasets, tmp_path):
    out = tmp_path / "run"
    train(_config(datasets, out, "training.steps=1"))
    other = write_dataset(tmp_path / "other.zarr", episodes=3, first_seed=20, task=BUTTON)
    config = _config({**datasets, BUTTON: other}, out, "training.steps=2", "resume=force")
    with pytest.warns(UserWarning, match="goes on with changes"):
        train(config)
    spec = read_spec(out)
    assert spec.for_task(BUTTON).demonstration_seeds == [7, 8, 9, 20, 21, 22]
    assert spec.for_task(DRAWER).demonstration_seeds == [0, 1]


def test_each_task_keeps_clear_of_its_own_demonstrations(run):
    check_unseen(run, range(0, 2), BUTTON)
    for task, seeds in ((DRAWER, range(0, 2)), (BUTTON, range(9, 12))):
        with pytest.raises(RunError, match="must not be those of the demonstrations"):
            check_unseen(run, seeds, task)
    with pytest.raises(RunError, match="must say which.*task=metaworld/drawer-open"):
        check_unseen(run, range(100, 102))
    with pytest.raises(TaskError, match="did you mean 'metaworld/button-press'"):
        check_unseen(run, range(100, 102), "metaworld/button-pres")


def test_held_out_episodes_are_measured_of_each_task(datasets, tmp_path):
    out = tmp_path / "run"
    more = ("validation.episodes=1", "validation.every=1", "training.steps=1")
    train(_config(datasets, out, *more, "multitask.sampling=window"))
    (line,) = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    assert line["heldout_action_rmse"] > 0


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, "must name one, under the key 'task'.*for_task"),
        ("metaworld/drawer-opne", "did you mean 'metaworld/drawer-open'"),
        ([DRAWER, BUTTON], "one for each of the 3 rows"),
        (torch.tensor([0, 1, 2]), "from 0 to 1"),
        (torch.tensor([0.0, 1.0, 1.0]), "whole numbers"),
    ],
)
def test_a_policy_of_several_is_told_a_task_that_it_has(policy, told, words):
    with pytest.raises(ObservationError, match=words):
        policy.predict(_observation(**({} if told is None else {"task": told})), noise=NOISE)


def test_a_policy_of_one_task_is_not_told_another(policy):
    with pytest.raises(ObservationError, match="did you mean|must be one"):
        policy.for_task(DRAWER).predict(_observation(task=BUTTON), noise=NOISE)
    with pytest.raises(TaskError, match="must be one that the policy was trained for"):
        policy.for_task("metaworld/reach")


@pytest.mark.parametrize(
    ("task", "data", "message"),
    [
        ("a,b", "x", "task=.a,b.*sweep"),
        (("a", "b"), ("x",), "2 tasks, 1 datasets"),
        ("a", ("x", "y"), "1 tasks, 2 datasets"),
        (("a", "a"), ("x", "y"), "each task must be named once.*merge"),
        (("a", "b"), ("x", "./x"), "each data must be named once"),
        ((), (), "must have one dataset"),
        (("a", " "), ("x", "y"), "task must not be empty"),
    ],
)
def test_tasks_and_datasets_that_do_not_belong_together_are_refused(task, data, message):
    with pytest.raises(ConfigError, match=message):
        check_tasks(task, data)


def test_a_command_line_with_lists_that_do_not_fit_is_refused(tmp_path):
    words = ["task=[a,3]", "data='x,y'", f"out={tmp_path}"]
    with pytest.raises(ConfigError, match=r"task\.1 must be text"):
        compose("train", words)


def test_datasets_that_differ_are_refused_with_what_differs(datasets, tmp_path):
    wide = write_dataset(tmp_path / "wide.zarr", task=BUTTON, episodes=1, action_dim=6)
    with pytest.raises(DataError, match="agree on action_dim.*4 of metaworld/drawer.*6 of"):
        train(_config({**datasets, BUTTON: wide}, tmp_path / "run"))
    with pytest.raises(DataError, match="must show the task that is trained"):
        train(_config({DRAWER: datasets[BUTTON], BUTTON: datasets[DRAWER]}, tmp_path / "run"))
    copy = write_dataset(tmp_path / "copy.zarr", episodes=2, first_seed=0, task=BUTTON)
    with pytest.raises(DataError, match="shown by the same demonstrations"):
        train(_config({**datasets, BUTTON: copy}, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_policy_of_one_task_is_saved_as_it_always_was(datasets, tmp_path):
    words = [f"task={DRAWER}", f"data={datasets[DRAWER]}", f"out={tmp_path / 'run'}"]
    train(compose("train", [*words, *_one_step()]))
    policy = load_policy(tmp_path / "run")
    assert "multitask" not in policy.spec.to_dict()
    assert not any("task" in name for name in policy.state_dict())
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["multitask"] is None
    assert policy.predict(_observation(task="anything"), noise=NOISE).shape == (3, 3, 4)


def _one_step():
    kept = [word for word in SMALL if not word.startswith(("training.steps", "multitask"))]
    return [*kept, "training.steps=1"]
