"""Every registered encoder, one for each of several clouds that lie in turns in one."""

import pytest
import torch

from mfpolicy import encoders
from mfpolicy.encoders import Apart, build_observation_encoder
from mfpolicy.errors import ConfigError, ObservationError

POINTS, CLOUDS = 48, 3


@pytest.fixture(params=encoders.names())
def encoder(request):
    torch.manual_seed(0)
    return Apart(lambda: encoders.build(request.param, point_dim=3), CLOUDS).double()


@pytest.fixture
def points():
    drawn = torch.Generator().manual_seed(1)
    return torch.rand(4, CLOUDS * POINTS, 3, dtype=torch.float64, generator=drawn)


def test_each_cloud_goes_through_its_own_encoder(encoder, points):
    vector = encoder(points)
    assert vector.shape == (4, encoder.output_dim)
    for turn, (own, part) in enumerate(zip(encoder.encoders, vector.chunk(CLOUDS, 1), strict=True)):
        torch.testing.assert_close(part, own(points[:, turn::CLOUDS]))
    same = points[:, ::CLOUDS].repeat_interleave(CLOUDS, 1)
    first, second, _ = encoder(same).chunk(CLOUDS, 1)
    assert not torch.allclose(first, second)  # the same cloud, other weights


def test_tokens_are_those_of_all_clouds_in_a_row(encoder, points):
    if not encoder.tokens:
        with pytest.raises(ConfigError, match="need an encoder that has them"):
            encoder.with_tokens(points)
        return
    vector, tokens = encoder.with_tokens(points)
    assert tokens.shape == (4, encoder.tokens, encoder.token_dim)
    torch.testing.assert_close(vector, encoder(points))
    for turn, (own, part) in enumerate(zip(encoder.encoders, tokens.chunk(CLOUDS, 1), strict=True)):
        torch.testing.assert_close(part, own.with_tokens(points[:, turn::CLOUDS])[1])


def test_every_parameter_gets_a_gradient(encoder, points):
    encoder(points).square().sum().backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_points_count_where_they_are(encoder, points):
    """Within a cloud their order is no matter; which cloud they are of is."""
    order = torch.randperm(POINTS, generator=torch.Generator().manual_seed(2))
    within = points.unflatten(1, (POINTS, CLOUDS))[:, order].flatten(1, 2)
    torch.testing.assert_close(encoder(within), encoder(points))
    assert not torch.allclose(encoder(points.roll(1, 1)), encoder(points))


def test_fewest_points_and_those_that_cannot_be_divided(encoder, points):
    least = encoder.least_points
    assert least % CLOUDS == 0
    assert encoder(points[:, :least]).isfinite().all()
    with pytest.raises(ObservationError, match="4 points, 3 clouds"):
        encoder(points[:, :4])


@pytest.mark.parametrize("fusion", [None, "film", "cross_attention"])
def test_a_fusion_takes_the_vectors_and_tokens_of_all(fusion):
    options = {"name": "point_transformer", "tokens": 4, "neighbours": 3, "width": 8}
    sizes = {"point_dim": 3, "state_dim": 5, "n_obs_steps": 2, "tokens": True}
    encoder = build_observation_encoder({**options, "fusion": fusion}, **sizes, clouds=2)
    assert (encoder.tokens, encoder.token_dim) == (2 * 2 * 4, 8)
    drawn = torch.Generator().manual_seed(1)
    clouds, states = (torch.rand(3, 2, *size, generator=drawn) for size in ((12, 3), (5,)))
    condition = encoder(clouds, states)
    assert condition.shape == (3, encoder.output_dim)
    condition.square().sum().backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.any()] == []
