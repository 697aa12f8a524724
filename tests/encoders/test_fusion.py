"""Every way to fuse cloud and state, and to put frames together, keeps what an encoder promises."""

import itertools

import pytest
import torch

from mfpolicy.encoders import build_observation_encoder
from mfpolicy.encoders.fusion import FUSIONS
from mfpolicy.encoders.history import HISTORIES
from mfpolicy.errors import ConfigError

SIZES = {"point_dim": 3, "state_dim": 5, "n_obs_steps": 2}
SMALL = {
    "name": "point_transformer",
    "tokens": 4,
    "neighbours": 3,
    "width": 8,
    "layers": 1,
    "output_dim": 6,
}
WAYS = list(itertools.product(FUSIONS.names(), HISTORIES.names(), [True, False]))


def _encoder(fusion, history, tokens):
    torch.manual_seed(0)
    options = {**SMALL, "fusion": fusion, "history": history}
    return build_observation_encoder(options, **SIZES, tokens=tokens).double()


def _observations():
    generator = torch.Generator().manual_seed(1)
    clouds = torch.rand(3, 2, 20, 3, dtype=torch.float64, generator=generator)
    states = torch.rand(3, 2, 5, dtype=torch.float64, generator=generator)
    return clouds, states


@pytest.mark.parametrize(("fusion", "history", "tokens"), WAYS)
def test_sizes_are_as_announced_and_every_parameter_learns(fusion, history, tokens):
    encoder = _encoder(fusion, history, tokens)
    condition = encoder(*_observations())
    assert condition.shape == (3, encoder.output_dim)
    assert encoder.output_dim == encoder.vector_dim + encoder.tokens * encoder.token_dim
    assert (encoder.tokens, encoder.token_dim) == ((8, 8) if tokens else (0, 0))
    assert encoder.vector_dim == (6 + 64) * (2 if history == "stacking" else 1)
    condition.square().sum().backward()
    idle = [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


@pytest.mark.parametrize(("fusion", "history", "tokens"), WAYS)
def test_frames_that_a_batch_repeats_are_encoded_once_to_the_same_end(fusion, history, tokens):
    encoder = _encoder(fusion, history, tokens)
    clouds, states = _observations()
    frame = torch.tensor([[0, 0], [0, 1], [1, 2]])
    chosen = (clouds.flatten(0, 1)[frame], states.flatten(0, 1)[frame])
    known = encoder.encode(*chosen, frame)
    torch.testing.assert_close(known.condition, encoder(*chosen))
    assert len(known.clouds) == len(known.vectors) == 3


def test_the_state_decides_what_is_found_among_the_tokens():
    encoder = _encoder("cross_attention", None, False)
    clouds, states = _observations()
    moved = encoder(clouds, states + 1) - encoder(clouds, states)
    assert moved[:, :6].abs().amax(dim=1).min() > 1e-6  # the share of the cloud


def test_attention_over_frames_knows_their_order():
    encoder = _encoder(None, "attention", False)
    clouds, states = _observations()
    clouds[:, 1], states[:, 1] = clouds[:, 0], states[:, 0]
    other = clouds.clone()
    other[:, 0] += 0.5
    assert (encoder(other, states) - encoder(clouds, states)).abs().amax(dim=1).min() > 1e-9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "pointnet", "fusion": "cross_attention"}, "encoder=point_transformer"),
        ({"name": "pointnet", "fusion": "flim"}, "did you mean 'film'"),
        ({"name": "pointnet", "history": "atention"}, "did you mean 'attention'"),
        ({"name": "pointnet", "fusion": 3}, "fusion must be text or null"),
    ],
)
def test_what_does_not_fit_is_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        build_observation_encoder(options, **SIZES, tokens=False)
