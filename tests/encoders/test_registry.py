"""What every registered point-cloud encoder must do: a new one is tested by existing."""

import pytest
import torch

from mfpolicy import encoders
from mfpolicy.errors import ConfigError


@pytest.fixture(params=encoders.names())
def encoder(request):
    torch.manual_seed(0)
    return encoders.build(request.param, point_dim=3).double()


@pytest.fixture
def clouds():
    return torch.rand(4, 64, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_one_feature_a_frame(encoder, clouds):
    assert encoder(clouds).shape == (4, encoder.output_dim)


def test_order_of_points_is_no_matter(encoder, clouds):
    assert encoder.ignores_order  # with its default options
    order = torch.randperm(64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(encoder(clouds[:, order]), encoder(clouds))


def test_repeated_points_are_no_matter_where_the_encoder_says_so(encoder, clouds):
    repeated = encoder(torch.cat([clouds, clouds[:, :9]], dim=1))
    if encoder.ignores_repeats:
        torch.testing.assert_close(repeated, encoder(clouds))
    else:
        assert not torch.allclose(repeated, encoder(clouds))


def test_a_cloud_repeated_whole_is_the_cloud_where_it_is_smaller_than_a_group(encoder, clouds):
    few = clouds[:, :5]
    torch.testing.assert_close(encoder(few.repeat(1, 2, 1)), encoder(few))


@pytest.mark.parametrize("points", [1, 3, 20, 300])
def test_any_number_of_points_in_any_order(encoder, points):
    generator = torch.Generator().manual_seed(points)
    clouds = torch.rand(2, points, 3, dtype=torch.float64, generator=generator)
    feature = encoder(clouds)
    assert feature.isfinite().all()
    torch.testing.assert_close(encoder(clouds.flip(1)), feature)


def test_frames_do_not_mix(encoder, clouds):
    torch.testing.assert_close(encoder(clouds)[1:2], encoder(clouds[1:2]))


def test_the_same_cloud_gives_the_same_bits(encoder, clouds):
    assert torch.equal(encoder(clouds), encoder(clouds))


def test_every_parameter_gets_a_gradient(encoder, clouds):
    encoder(clouds).square().sum().backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_colors_matter(encoder):
    """Positions alone choose groups; colors must reach the feature all the same."""
    name = next(n for n in encoders.names() if encoders.ENCODERS.get(n) is type(encoder))
    colored = encoders.build(name, point_dim=6)
    clouds = torch.rand(2, 40, 6, generator=torch.Generator().manual_seed(1))
    repainted = torch.cat([clouds[..., :3], 1 - clouds[..., 3:]], dim=2)
    assert (colored(clouds) - colored(repainted)).abs().amax(dim=1).min() > 1e-4


def test_tokens_are_what_the_encoder_says(encoder, clouds):
    if not encoder.tokens:
        with pytest.raises(ConfigError, match="need an encoder that has them"):
            encoder.with_tokens(clouds)
        return
    vector, tokens = encoder.with_tokens(clouds)
    assert tokens.shape == (4, encoder.tokens, encoder.token_dim)
    torch.testing.assert_close(vector, encoder(clouds))
    order = torch.randperm(64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(encoder.with_tokens(clouds[:, order])[1], tokens)
