"""Live-tap convolutions equal the padded ones, weight for weight and gradient for gradient."""

import itertools

import pytest
import torch
from torch import nn

from mfpolicy.networks.live_conv import LiveConv1d, LiveUpsample1d

CASES = [
    (kernel, length, stride)
    for kernel, length, stride in itertools.product((1, 3, 5, 7), (1, 2, 3, 4, 8), (1, 2))
]


def _filled_like(live: nn.Module, full: nn.Module, first: int, last: int) -> None:
    """Gives ``full`` the live weights and garbage in the dead taps."""
    with torch.no_grad():
        full.weight.normal_()
        full.weight[:, :, first:last] = live.weight
        full.bias.copy_(live.bias)


@pytest.mark.parametrize(("kernel", "length", "stride"), CASES)
def test_live_convolution_is_the_padded_one(kernel, length, stride):
    torch.manual_seed(0)
    live = LiveConv1d(3, 4, kernel_size=kernel, length=length, stride=stride).double()
    full = nn.Conv1d(3, 4, kernel, stride=stride, padding=kernel // 2).double()
    last = live.first + live.weight.shape[2]
    _filled_like(live, full, live.first, last)
    x = torch.randn(5, 3, length, dtype=torch.float64)
    probe = torch.randn_like(full(x))
    (live(x) * probe).sum().backward()
    (full(x) * probe).sum().backward()
    torch.testing.assert_close(live(x), full(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(live.weight.grad, full.weight.grad[:, :, live.first : last])
    dead = torch.cat([full.weight.grad[:, :, : live.first], full.weight.grad[:, :, last:]], dim=2)
    assert not dead.any()
    assert live.full_weight().shape == full.weight.shape


@pytest.mark.parametrize("length", [1, 2, 3, 8])
def test_live_upsampling_is_the_padded_one(length):
    torch.manual_seed(0)
    live = LiveUpsample1d(3, length=length).double()
    full = nn.ConvTranspose1d(3, 3, 4, stride=2, padding=1).double()
    first, last = (1, 3) if length == 1 else (0, 4)
    _filled_like(live, full, first, last)
    x = torch.randn(5, 3, length, dtype=torch.float64)
    probe = torch.randn_like(full(x))
    (live(x) * probe).sum().backward()
    (full(x) * probe).sum().backward()
    torch.testing.assert_close(live(x), full(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(live.weight.grad, full.weight.grad[:, :, first:last])
    torch.testing.assert_close(live.full_weight()[:, :, first:last], live.weight)


def test_initial_weights_have_the_spread_of_the_full_kernel():
    torch.manual_seed(0)
    live = LiveConv1d(64, 64, kernel_size=5, length=1)
    bound = (64 * 5) ** -0.5
    assert live.weight.abs().max() <= bound
    assert live.weight.abs().max() > 0.99 * bound
