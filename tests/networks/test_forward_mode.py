"""Layers with derivative rules of their own agree with PyTorch's rules for the plain layers."""

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

from mfpolicy.networks.forward_mode import GroupNorm, PlainLayerNorm, apply_linear
from mfpolicy.networks.live_conv import LiveConv1d, LiveUpsample1d


def _dual(layer, x: torch.Tensor, dx: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with forward_ad.dual_level():
        return tuple(forward_ad.unpack_dual(layer(forward_ad.make_dual(x, dx))))


def _layers():
    torch.manual_seed(0)
    norm = GroupNorm(4, 8)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    plain = nn.GroupNorm(4, 8)
    plain.load_state_dict(norm.state_dict())
    upsample = LiveUpsample1d(8, length=3)
    transposed = nn.ConvTranspose1d(8, 8, 4, stride=2, padding=1)
    transposed.load_state_dict(upsample.state_dict())
    conv = LiveConv1d(8, 8, kernel_size=3, length=3)
    padded = nn.Conv1d(8, 8, 3, padding=1)
    padded.load_state_dict(conv.state_dict())
    layers = (PlainLayerNorm(3), nn.LayerNorm(3, elementwise_affine=False))
    return {
        "layer norm": layers,
        "norm": (norm, plain),
        "upsample": (upsample, transposed),
        "conv": (conv, padded),
    }


@pytest.mark.parametrize("name", ["layer norm", "norm", "upsample", "conv"])
@pytest.mark.parametrize("grad", [False, True])
def test_value_and_derivative_are_those_of_the_plain_layer(name, grad):
    ours, plain = (layer.double() for layer in _layers()[name])
    x, dx = torch.randn(2, 5, 8, 3, dtype=torch.float64).unbind()
    with torch.set_grad_enabled(grad):
        value, derivative = _dual(ours, x, dx)
        expected = torch.func.jvp(plain, (x,), (dx,))
    torch.testing.assert_close(value, expected[0])
    torch.testing.assert_close(derivative, expected[1])


@pytest.mark.parametrize("name", ["norm", "upsample", "conv"])
def test_the_derivative_can_itself_be_differentiated(name):
    ours, plain = (layer.double() for layer in _layers()[name])
    x, dx = torch.randn(2, 5, 8, 3, dtype=torch.float64).unbind()
    by_layer = []
    for layer, derivative in (
        (ours, _dual(ours, x, dx)[1]),
        (plain, torch.func.jvp(plain, (x,), (dx,))[1]),
    ):
        by_layer.append(torch.autograd.grad(derivative.square().sum(), layer.weight)[0])
    torch.testing.assert_close(*by_layer)


def test_a_plain_tensor_goes_through_once_with_its_bias():
    calls = []

    def double(x, bias):
        calls.append(bias)
        return 2 * x + (0 if bias is None else bias)

    bias = torch.tensor([1.0, 2.0])
    assert torch.equal(apply_linear(double, torch.ones(3, 2), bias), torch.tensor([[3.0, 4.0]] * 3))
    assert calls == [bias]
