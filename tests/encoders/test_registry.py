"""What every registered point-cloud encoder must do: a new one is tested by existing."""

import pytest
import torch

from mfpolicy import encoders


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
    order = torch.randperm(64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(encoder(clouds[:, order]), encoder(clouds))


def test_repeated_points_are_no_matter(encoder, clouds):
    torch.testing.assert_close(encoder(torch.cat([clouds, clouds[:, :9]], dim=1)), encoder(clouds))


def test_frames_do_not_mix(encoder, clouds):
    torch.testing.assert_close(encoder(clouds)[1:2], encoder(clouds[1:2]))


def test_every_parameter_gets_a_gradient(encoder, clouds):
    encoder(clouds).square().sum().backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.any()] == []
