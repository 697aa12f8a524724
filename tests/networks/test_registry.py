"""What every registered network must do: a new one is tested by existing."""

import pytest
import torch

from mfpolicy import networks
from mfpolicy.errors import ConfigError

SIZES = {"action_dim": 3, "horizon": 4, "condition_dim": 6}
SMALL = {
    "unet1d": {"widths": (16, 16, 16), "time_dim": 8},
    "mlp_mixer": {"width": 16, "depth": 2, "time_dim": 8},
    "transformer": {"width": 16, "depth": 2, "time_dim": 8},
}
TOKENS = {"tokens": 3, "token_dim": 5}
KINDS = [(name, {}) for name in networks.names()]
KINDS += [(name, TOKENS) for name in networks.names() if networks.NETWORKS.get(name).takes_tokens]


def _build(name, **options):
    torch.manual_seed(0)
    return networks.build(name, **{**SIZES, **SMALL.get(name, {}), **options}).double()


@pytest.fixture(params=KINDS, ids=lambda kind: kind[0] + (" of tokens" if kind[1] else ""))
def kind(request):
    return request.param


@pytest.fixture
def network(kind):
    return _build(kind[0], **kind[1])


@pytest.fixture
def inputs(kind):
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(6, 4, 3, dtype=torch.float64, generator=generator)
    t = torch.rand(6, dtype=torch.float64, generator=generator) * 0.8 + 0.1
    r = t * 0.5
    size = 6 + (15 if kind[1] else 0)
    condition = torch.randn(6, size, dtype=torch.float64, generator=generator)
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


def test_a_pass_in_forward_mode_can_be_differentiated(network, inputs):
    """As objectives that let gradient through the derivative need it, parameter by parameter."""
    z, r, t, condition = inputs
    prepared = network.prepare(condition)
    tangents = (torch.ones_like(z), torch.zeros_like(r), torch.ones_like(t))
    _, dudt = torch.func.jvp(lambda z, r, t: network(z, r, t, prepared), (z, r, t), tangents)
    gradients = torch.autograd.grad(
        dudt.square().sum(), list(network.parameters()), allow_unused=True
    )
    reached = [gradient for gradient in gradients if gradient is not None and gradient.any()]
    assert len(reached) > len(gradients) / 2


@pytest.mark.parametrize("horizon", [4, 8, 16])
def test_a_chunk_of_any_usual_length(kind, inputs, horizon):
    _, r, t, condition = inputs
    network = _build(kind[0], **kind[1], horizon=horizon)
    z = torch.randn(6, horizon, 3, dtype=torch.float64)
    assert network(z, r, t, network.prepare(condition)).shape == z.shape


def test_a_velocity_head_beside_u(kind, inputs):
    network = _build(kind[0], **kind[1], velocity_head=True)
    z, r, t, condition = inputs
    prepared = network.prepare(condition)
    u, v, features = network.with_velocity(z, r, t, prepared)
    torch.testing.assert_close(u, network(z, r, t, prepared))
    assert v.shape == u.shape
    assert not torch.allclose(u, v)
    assert all(f.ndim == 2 for f in features)


def test_guidance_as_an_input_of_every_row(kind, inputs):
    network = _build(kind[0], **kind[1], scale_input=True)
    z, r, t, condition = inputs
    prepared = network.prepare(condition)
    guidance = torch.tensor([[1.0, 0.0, 1.0]] * 6, dtype=z.dtype)
    stronger = torch.cat([torch.full_like(guidance[:, :1], 3.0), guidance[:, 1:]], dim=1)
    one, three = (network(z, r, t, network.guide(prepared, g)) for g in (guidance, stronger))
    assert (one - three).abs().amax(dim=(1, 2)).min() > 1e-6


@pytest.mark.parametrize("option", ["velocity_head", "scale_input"])
def test_what_a_network_was_not_built_with_is_refused(network, inputs, option):
    z, r, t, condition = inputs
    prepared = network.prepare(condition)
    ask = {
        "velocity_head": lambda: network.with_velocity(z, r, t, prepared),
        "scale_input": lambda: network.guide(prepared, torch.ones(6, 3, dtype=z.dtype)),
    }
    with pytest.raises(ConfigError, match=f"{option}=True"):
        ask[option]()


def test_the_order_of_tokens_is_no_matter():
    network = _build("transformer", **TOKENS)
    generator = torch.Generator().manual_seed(1)
    z, t = torch.randn(2, 4, 3, dtype=torch.float64, generator=generator), torch.ones(2).double()
    vector, tokens = torch.randn(2, 6).double(), torch.randn(2, 3, 5).double()
    u, shuffled = (
        network(z, 0 * t, t, network.prepare(torch.cat([vector, seen.flatten(1)], dim=1)))
        for seen in (tokens, tokens[:, [2, 0, 1]])
    )
    torch.testing.assert_close(u, shuffled)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("transformer", {"heads": 3}, "heads must divide"),
        ("transformer", {"depth": 0}, "depth"),
        ("mlp_mixer", {"depth": 0}, "depth"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(name, options, words):
    with pytest.raises(ConfigError, match=words):
        _build(name, **options)
