"""What every auxiliary loss must do: a new one is tested by existing."""

import dataclasses

import pytest
import torch
import yaml

from mfpolicy.encoders import auxiliary, build_observation_encoder
from mfpolicy.encoders.auxiliary.reconstruction import chamfer
from mfpolicy.errors import ConfigError
from mfpolicy.paths import config_dir
from mfpolicy.types import Batch

ENCODER = {"name": "pointnet", "widths": [16], "output_dim": 8, "state": {"output_dim": 8}}


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    sizes = {"point_dim": 6, "state_dim": 5, "n_obs_steps": 2}
    return build_observation_encoder(ENCODER, **sizes, tokens=False).double()


@pytest.fixture
def seen():
    drawn = torch.Generator().manual_seed(1)
    shapes = {"point_cloud": (3, 2, 20, 6), "agent_pos": (3, 2, 5), "action": (3, 4, 2)}
    values = {
        name: torch.rand(shape, dtype=torch.float64, generator=drawn)
        for name, shape in shapes.items()
    }
    for name in ("point_cloud", "agent_pos"):
        values[name][0, 0] = values[name][0, 1]
        values[name][2, 0] = values[name][1, 1]
    frame = torch.tensor([[0, 0], [1, 2], [2, 3]])
    return Batch(**values, episode=torch.zeros(3), step=torch.arange(3), frame=frame)


def _sizes(encoder, **changed):
    sizes = auxiliary.Sizes(
        cloud_dim=8, vector_dim=encoder.fusion.output_dim, state_dim=5, action_dim=2, n_obs_steps=2
    )
    return dataclasses.replace(sizes, **changed)


def _built(name, encoder):
    torch.manual_seed(1)
    return auxiliary.build(name, sizes=_sizes(encoder)).double()


def _loss(head, encoder, seen):
    return head(encoder.encode(seen.point_cloud, seen.agent_pos, seen.frame), seen)


@pytest.mark.parametrize("name", auxiliary.names())
def test_it_teaches_the_encoder_and_its_head(name, encoder, seen):
    head = _built(name, encoder)
    loss = _loss(head, encoder, seen)
    assert loss.shape == ()
    assert loss > 0
    loss.backward()
    for part in (head, encoder.cloud):
        assert all(p.grad is not None and p.grad.any() for p in part.parameters())


@pytest.mark.parametrize("name", auxiliary.names())
def test_it_can_be_learnt(name, encoder, seen):
    head = _built(name, encoder)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-2)
    first = float(_loss(head, encoder, seen).detach())
    for _ in range(60):
        optimizer.zero_grad()
        loss = _loss(head, encoder, seen)
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < first / 2


@pytest.mark.parametrize("name", auxiliary.names())
def test_frames_encoded_once_or_each_time_are_the_same_frames(name, encoder, seen):
    """Where none repeats; a repeated frame counts once if it is known to be one."""
    head, distinct = _built(name, encoder), torch.tensor([[0, 1], [2, 3], [4, 5]])
    known = _loss(head, encoder, dataclasses.replace(seen, frame=distinct))
    torch.testing.assert_close(_loss(head, encoder, dataclasses.replace(seen, frame=None)), known)


@pytest.mark.parametrize("name", auxiliary.names())
def test_the_command_line_offers_it_switched_off(name):
    block = yaml.safe_load((config_dir() / "train.yaml").read_text())["auxiliary"][name]
    assert block.pop("enabled") is False
    known = auxiliary.AUXILIARIES.options(name)
    assert block == {key: known[key].default for key in known if key != "sizes"}


def test_a_repeated_first_frame_shows_no_change_of_state(encoder, seen):
    head = _built("next_state", encoder)
    action = seen.action.clone()
    action[0] += 1  # of the window whose frames are one
    other = dataclasses.replace(seen, action=action)
    torch.testing.assert_close(_loss(head, encoder, other), _loss(head, encoder, seen))


def test_chamfer_is_the_distance_written_out():
    drawn = torch.Generator().manual_seed(0)
    left, right = (torch.rand(2, n, 3, dtype=torch.float64, generator=drawn) for n in (4, 7))
    expected = 0.0
    for a, b in zip(left, right, strict=True):
        apart = torch.tensor([[float((p - q).square().sum()) for q in b] for p in a])
        expected += float(apart.amin(1).mean() + apart.amin(0).mean()) / 2
    assert float(chamfer(left, right)) == pytest.approx(expected, rel=1e-6)
    assert float(chamfer(left, left.flip(1))) == 0


def test_what_cannot_be_is_refused(encoder):
    with pytest.raises(ConfigError, match="at least two frames"):
        auxiliary.build("next_state", sizes=_sizes(encoder, n_obs_steps=1))
    with pytest.raises(ConfigError, match="weight"):
        auxiliary.build("state", sizes=_sizes(encoder), weight=-1.0)
    with pytest.raises(ConfigError, match="points"):
        auxiliary.build("reconstruction", sizes=_sizes(encoder), points=0)
