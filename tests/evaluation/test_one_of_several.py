"""A policy of several tasks is evaluated on one at a time, and says so in its model card."""

import dataclasses

import pytest

from evaluation.fakes import TASK, ReachEnv
from evaluation.run_folders import write_run
from mfpolicy.cli.eval import environment_of, evaluate_run, one_task_each
from mfpolicy.config import compose
from mfpolicy.errors import ConfigError, RunError, TaskError
from mfpolicy.evaluation.conditions import Conditions
from mfpolicy.evaluation.model_card import write_model_card
from mfpolicy.evaluation.run_folder import check_renderer
from mfpolicy.evaluation.services import EpisodeService

OTHER = "metaworld/push"
SEVERAL = {
    "condition": {"name": "embedding", "dim": 4},
    "tasks": {OTHER: {"demonstration_seeds": [0]}, TASK.name: {"demonstration_seeds": [1]}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "several"
    return write_run(folder, task=None, multitask=SEVERAL)


@pytest.fixture(scope="module")
def config(run):
    return compose("eval", [str(run)])


def test_an_episode_is_of_the_task_that_the_policy_was_told(run):
    service = EpisodeService(run, ReachEnv, Conditions(steps=1, task=TASK.name))
    assert service.policy.spec.task == service.facts["task"] == TASK.name
    told = service.policy.encoder.task.table
    assert told.shape == (1, 4)
    assert service.run(10_000).seed == 10_000


def test_a_policy_that_is_told_one_task_is_not_shown_another(run):
    with pytest.raises(RunError, match=f"told {OTHER}, shown {TASK.name}"):
        EpisodeService(run, ReachEnv, Conditions(steps=1, task=OTHER))


def test_without_a_task_each_is_evaluated_in_turn(config):
    assert [one.task for one in one_task_each(config)] == [OTHER, TASK.name]
    named = dataclasses.replace(config, task=TASK.name, name="mine")
    assert one_task_each(named) == [named]
    with pytest.raises(ConfigError, match="a name of its own.*task="):
        one_task_each(dataclasses.replace(config, name="mine"))


def test_an_evaluation_that_does_not_say_which_task_is_refused(config):
    with pytest.raises(RunError, match=f"add task={OTHER}"):
        environment_of(config)
    with pytest.raises(TaskError, match="one that the policy was trained for"):
        environment_of(dataclasses.replace(config, task="metaworld/door-open"))
    with pytest.raises(RunError, match="must say which"):
        evaluate_run(config, ReachEnv)


def test_the_model_card_names_every_task_and_how_to_tell_one(run):
    card = write_model_card(run).read_text()
    assert f"for `{OTHER}`, `{TASK.name}`" in card
    assert f'"agent_pos": agent_pos, "task": "{OTHER}"}})' in card


def test_colors_are_those_of_the_tasks_own_renderer(run):
    described = {"datasets": {TASK.name: {"renderer": "raycast"}, OTHER: {"renderer": "egl"}}}
    import yaml

    (run / "data.yaml").write_text(yaml.safe_dump(described))
    check_renderer(run, "raycast", TASK.name)
    check_renderer(run, "egl", OTHER)
    with pytest.raises(RunError, match="trained with raycast"):
        check_renderer(run, "egl", TASK.name)
