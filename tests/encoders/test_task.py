"""What tells a policy its task: sizes, gradients, and the part that knows one task alone."""

import pytest
import torch

from mfpolicy.encoders import build_observation_encoder
from mfpolicy.encoders.task import TASK_CONDITIONS
from mfpolicy.errors import ConfigError

SIZES = {"point_dim": 3, "state_dim": 5, "n_obs_steps": 2}
CLOUD = {"name": "pointnet", "widths": [8], "output_dim": 6}
NAMES = TASK_CONDITIONS.names()


def _build(name, tasks):
    torch.manual_seed(0)
    return TASK_CONDITIONS.build(name, tasks=tasks)


@pytest.mark.parametrize("name", NAMES)
def test_only_the_tasks_of_a_batch_learn(name):
    told = _build(name, 4)
    vectors = told(torch.tensor([2, 0, 2]), 3)
    assert vectors.shape == (3, told.output_dim)
    assert vectors[0].equal(vectors[2])
    assert not vectors[0].equal(vectors[1])
    vectors.square().sum().backward()
    moved = [bool(row.any()) for row in told.table.grad]
    assert moved == [True, False, True, False]


@pytest.mark.parametrize("name", NAMES)
def test_the_part_for_one_task_says_what_the_whole_says_of_it(name):
    told = _build(name, 3)
    for task in range(3):
        before = torch.get_rng_state()
        single = told.only(task)
        assert torch.get_rng_state().equal(before)
        assert single.tasks == 1
        assert single(None, 2).equal(told(torch.tensor([task, task]), 2))
    with torch.no_grad():
        single.table.zero_()
    assert told.table[2].any()  # a copy


@pytest.mark.parametrize("name", NAMES)
def test_several_tasks_must_be_told_apart(name):
    with pytest.raises(ConfigError, match="several tasks must be told which"):
        _build(name, 2)(None, 3)
    with pytest.raises(ConfigError, match="tasks must be"):
        _build(name, 0)


@pytest.mark.parametrize("dim", [0, 4097, "8"])
def test_a_size_out_of_range_is_refused(dim):
    with pytest.raises(ConfigError, match="dim must be"):
        TASK_CONDITIONS.build("embedding", tasks=2, dim=dim)


@pytest.mark.parametrize("history", [None, "attention"])
def test_the_condition_is_that_of_one_task_with_the_tasks_part_behind_it(history):
    options = {**CLOUD, "history": history}
    torch.manual_seed(0)
    plain = build_observation_encoder(options, **SIZES, tokens=False)
    torch.manual_seed(0)
    several = build_observation_encoder(
        options, **SIZES, tokens=False, tasks=3, task={"name": "embedding", "dim": 4}
    )
    assert several.output_dim == several.vector_dim == plain.vector_dim + 4
    several.load_state_dict(plain.state_dict(), strict=False)
    clouds, states = torch.rand(2, 2, 7, 3), torch.rand(2, 2, 5)
    condition = several(clouds, states, task=torch.tensor([2, 1]))
    assert condition[:, :-4].equal(plain(clouds, states))
    assert condition[:, -4:].equal(several.task.table[[2, 1]])
    assert not any(name.startswith("task.") for name in plain.state_dict())


def test_tokens_stay_behind_the_tasks_part():
    options = {"name": "point_transformer", "tokens": 4, "neighbours": 3, "width": 8, "layers": 1}
    encoder = build_observation_encoder(options, **SIZES, tokens=True, tasks=2)
    clouds, states = torch.rand(3, 2, 9, 3), torch.rand(3, 2, 5)
    one, other = (encoder(clouds, states, task=torch.full((3,), n)) for n in (0, 1))
    differs = (one != other).any(dim=0)
    end = encoder.vector_dim
    assert differs[end - encoder.task.output_dim : end].all()
    assert not differs[end:].any()
    assert not differs[: end - encoder.task.output_dim].any()
    assert encoder.output_dim == end + encoder.tokens * encoder.token_dim
