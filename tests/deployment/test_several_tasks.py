"""A policy of one of several tasks compiles and exports as any; one of several is refused."""

import dataclasses

import numpy as np
import pytest
import torch

import mfpolicy
from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.bench.contenders import contenders
from mfpolicy.deployment.chunk_policy import EagerChunkPolicy, load_chunk_policy
from mfpolicy.deployment.export.exporting import export_policy
from mfpolicy.errors import ConfigError, ObservationError, TaskError
from mfpolicy.policy import Policy, save_policy

TASKS = ("metaworld/drawer-open", "metaworld/button-press", "metaworld/door-open")


@pytest.fixture(scope="module")
def several():
    plain = mfpolicy.build_policy("mp1_small", point_dim=3, state_dim=5, action_dim=4).spec
    own = {task: {"demonstration_seeds": [number]} for number, task in enumerate(TASKS)}
    spec = dataclasses.replace(
        plain,
        points=16,
        network={**plain.network, "widths": [16, 16]},
        multitask={"condition": {"name": "embedding", "dim": 8}, "tasks": own},
    )
    torch.manual_seed(0)
    policy = Policy(spec).eval()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return policy


def _inputs(rows):
    generator = torch.Generator().manual_seed(1)
    return (
        torch.rand(rows, 2, 16, 3, generator=generator),
        torch.rand(rows, 2, 5, generator=generator),
        torch.randn(rows, 4, 4, generator=generator),
    )


@pytest.mark.parametrize("backend", ["packed", "eager"])
def test_a_compiled_policy_decides_as_the_one_that_is_told_the_task(several, backend):
    cloud, state, noise = _inputs(1)
    answers = []
    for task in TASKS[:2]:
        told = {"point_cloud": cloud, "agent_pos": state, "task": task}
        expected = several.predict(told, noise=noise).numpy()
        decide = several.for_task(task).compile(backend=backend)
        actual = decide({"point_cloud": cloud, "agent_pos": state}, noise=noise.numpy())
        np.testing.assert_allclose(actual, expected, atol=2e-5)
        answers.append(actual)
    assert np.abs(answers[0] - answers[1]).max() > 1e-3


def test_a_compiled_policy_refuses_the_name_of_another_task(several):
    cloud, state, _ = _inputs(1)
    decide = several.for_task(TASKS[0]).compile(backend="eager")
    told = {"point_cloud": cloud, "agent_pos": state}
    decide({**told, "task": TASKS[0]})
    with pytest.raises(ObservationError, match="trained for"):
        decide({**told, "task": TASKS[1]})


@pytest.mark.parametrize("named", [1, [["a"]], ["metaworld/reach"], np.array([3])])
def test_what_names_no_task_is_refused(several, named):
    cloud, state, _ = _inputs(1)
    with pytest.raises(ObservationError, match="task"):
        several.predict({"point_cloud": cloud, "agent_pos": state, "task": named})


def test_numbers_name_tasks(several):
    cloud, state, noise = _inputs(1)
    told = {"point_cloud": cloud, "agent_pos": state}
    by_name, by_number = (
        several.predict({**told, "task": task}, noise=noise) for task in (TASKS[1], np.array([1]))
    )
    assert by_name.equal(by_number)


def test_an_export_and_a_server_are_of_the_task_that_was_named(several, tmp_path):
    save_policy(several, tmp_path)
    report = export_policy(tmp_path, tmp_path / "door.pt2", format="torch", task=TASKS[2])
    assert report.parity.error <= 1e-4  # of what for_task gives, on batches of 1 and 13
    served = load_chunk_policy(tmp_path, task=TASKS[1], compiled=False)
    cloud, state, noise = _inputs(2)
    told = {"point_cloud": cloud, "agent_pos": state, "task": TASKS[1]}
    actual = served({"point_cloud": cloud, "agent_pos": state}, noise=noise.numpy())
    np.testing.assert_array_equal(actual, several.predict(told, noise=noise).numpy())
    assert served.spec.task == TASKS[1]


@pytest.mark.parametrize("take", [ActionModule, EagerChunkPolicy])
def test_what_cannot_be_told_a_task_refuses_a_policy_of_several(several, take):
    with pytest.raises(ConfigError, match="metaworld/button-press.*policy.for_task"):
        take(several)


def test_a_task_that_the_policy_does_not_have_is_refused_by_name(several, tmp_path):
    save_policy(several, tmp_path)
    with pytest.raises(TaskError, match="did you mean 'metaworld/door-open'"):
        load_chunk_policy(tmp_path, task="metaworld/door-opn")


def test_a_policy_of_several_tasks_is_timed_as_that_of_its_first(several, tmp_path):
    save_policy(several, tmp_path / "run")
    (contender,) = contenders(
        [str(tmp_path / "run")],
        **{"backends": ["auto"], "precisions": ["float32"], "batches": [1], "threads": [1]},
        **{"device": "cpu", "state_dim": 1, "action_dim": 1},
    )
    assert contender.build().spec.tasks == TASKS[:1]
