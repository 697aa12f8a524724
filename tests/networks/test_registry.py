"""What every registered network must do: a new one is tested by existing."""

import pytest
import torch

from mfpolicy import networks

SIZES = {"action_dim": 3, "horizon": 4, "condition_dim": 6}
SMALL = {"unet1d": {"widths": (16, 16, 16), "time_dim": 8}}


@pytest.fixture(params=networks.names())
def network(request):
    torch.manual_seed(0)
    return networks.build(request.param, **SIZES, **SMALL.get(request.param, {})).double()


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(6, 4, 3, dtype=torch.float64, generator=generator)
    t = torch.rand(6, dtype=torch.float64, generator=generator) * 0.8 + 0.1
    r = t * 0.5
    condition = torch.randn(6, 6, dtype=torch.float64, generator=generator)
    return z, r, t, condition


def test_output_has_the_shape_of_the_chunk(network, inputs):
    z, r, t, condition = inputs
    u, features = network.features(z, r, t, network.prepare(condition))
    assert u.shape == z.shape
    assert all(f.ndim == 2 and len(f) == len(z) for f in features)


def test_forward_derivative_matches_central_differences(network, inputs):
    z, r, t, condition = inputs
    prepared = network.prepare(condition)
    v = torch.randn_like(z)
    tangents = (v, torch.zeros_like(r), torch.ones_like(t))
    _, dudt = torch.func.jvp(lambda z, r, t: network(z, r, t, prepared), (z, r, t), tangents)
    d = 1e-6
    ahead = network(z + d * v, r, t + d, prepared)
    behind = network(z - d * v, r, t - d, prepared)
    torch.testing.assert_close(dudt, (ahead - behind) / (2 * d), rtol=1e-3, atol=1e-6)


def test_every_input_matters(network, inputs):
    z, r, t, condition = inputs
    u = network(z, r, t, network.prepare(condition))
    others = [
        network(z + 1, r, t, network.prepare(condition)),
        network(z, r * 0.5, t, network.prepare(condition)),
        network(z, r, t + 0.1, network.prepare(condition)),
        network(z, r, t, network.prepare(condition.flip(0))),
    ]
    for other in others:
        assert (other - u).abs().amax(dim=(1, 2)).min() > 1e-9


def test_rows_do_not_mix(network, inputs):
    z, r, t, condition = inputs
    whole = network(z, r, t, network.prepare(condition))
    single = network(z[2:3], r[2:3], t[2:3], network.prepare(condition[2:3]))
    torch.testing.assert_close(whole[2:3], single)


def test_every_parameter_gets_a_gradient(network, inputs):
    z, r, t, condition = inputs
    network(z, r, t, network.prepare(condition)).square().sum().backward()
    idle = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []
