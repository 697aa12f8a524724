"""The live-tap U-Net against the padded one of DP3 and MP1, written out plainly."""

import pytest
import torch
from torch import nn

from mfpolicy.errors import ConfigError
from mfpolicy.networks import UNet1D
from mfpolicy.networks.unet1d import ResidualBlock

WIDTHS, COND, TIME = (16, 24, 32), 10, 8


class PaddedBlock(nn.Module):
    """Residual block with padded convolutions and a FiLM layer on Mish(time ⊕ condition)."""

    def __init__(self, live: ResidualBlock, film: tuple[torch.Tensor, ...]) -> None:
        super().__init__()
        self.live, self.film = live, film

    def conv(self, block, x):
        hidden = nn.functional.conv1d(x, block.conv.full_weight(), block.conv.bias, padding=2)
        return nn.functional.mish(block.norm(hidden))

    def forward(self, x, embedding):
        time_weight, condition_weight, bias = self.film
        weight = torch.cat([time_weight, condition_weight], dim=1)
        scale, shift = (nn.functional.mish(embedding) @ weight.T + bias).chunk(2, dim=1)
        hidden = self.conv(self.live.first, x) * scale[:, :, None] + shift[:, :, None]
        if isinstance(self.live.residual, nn.Identity):
            return self.conv(self.live.second, hidden) + x
        skip = nn.functional.conv1d(x, self.live.residual.weight, self.live.residual.bias)
        return self.conv(self.live.second, hidden) + skip


def padded_unet(net: UNet1D, z, r, t, condition):
    """The network's function by its published description, with full kernels and no shortcut."""
    blocks = [m for m in net.modules() if isinstance(m, ResidualBlock)]
    sizes = [2 * b.out_channels for b in blocks]
    films = zip(
        net.film_time.weight.split(sizes),
        net.film_condition.weight.split(sizes),
        net.film_condition.bias.split(sizes),
        strict=True,
    )
    padded = iter([PaddedBlock(b, f) for b, f in zip(blocks, films, strict=True)])
    embedding = torch.cat([net.time(r, t), condition], dim=1)
    x, skips = z.transpose(1, 2), []
    for level in range(len(WIDTHS)):
        for _ in range(2):
            x = next(padded)(x, embedding)
        skips.append(x)
        if level < len(WIDTHS) - 1:
            shrink = net.shrink[level]
            x = nn.functional.conv1d(x, shrink.full_weight(), shrink.bias, stride=2, padding=1)
    for _ in range(2):
        x = next(padded)(x, embedding)
    for grow in net.grow:
        x = torch.cat([x, skips.pop()], dim=1)
        for _ in range(2):
            x = next(padded)(x, embedding)
        x = nn.functional.conv_transpose1d(x, grow.full_weight(), grow.bias, stride=2, padding=1)
    final = net.final
    x = nn.functional.conv1d(x, final.conv.full_weight(), final.conv.bias, padding=2)
    x = nn.functional.mish(final.norm(x))
    return nn.functional.conv1d(x, net.project.weight, net.project.bias).transpose(1, 2)


@pytest.mark.parametrize("horizon", [4, 8, 16])
def test_equals_the_padded_network(horizon):
    torch.manual_seed(0)
    net = UNet1D(
        action_dim=3, horizon=horizon, condition_dim=COND, widths=WIDTHS, time_dim=TIME
    ).double()
    z = torch.randn(5, horizon, 3, dtype=torch.float64)
    t = torch.rand(5, dtype=torch.float64)
    r = t * torch.rand(5, dtype=torch.float64)
    condition = torch.randn(5, COND, dtype=torch.float64)
    ours = net(z, r, t, net.prepare(condition))
    theirs = padded_unet(net, z, r, t, condition)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    ours_grad = torch.autograd.grad(ours.square().sum(), list(net.parameters()))
    theirs_grad = torch.autograd.grad(theirs.square().sum(), list(net.parameters()))
    for name, mine, plain in zip(dict(net.named_parameters()), ours_grad, theirs_grad, strict=True):
        torch.testing.assert_close(mine, plain, rtol=0, atol=1e-10, msg=name)


def test_the_papers_size_leaves_a_third_of_its_weights():
    with torch.device("meta"):
        net = UNet1D(action_dim=26, horizon=4, condition_dim=256)
    live = sum(p.numel() for p in net.parameters())
    assert live == pytest.approx(85.9e6, rel=2e-3)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"horizon": 6}, "multiple of 4"),
        ({"kernel_size": 4}, "odd"),
        ({"blocks": 3}, "blocks"),
        ({"widths": (12, 16, 32)}, "multiple of groups"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, word):
    sizes = {"action_dim": 3, "horizon": 4, "condition_dim": COND, "widths": WIDTHS}
    with pytest.raises(ConfigError, match=word):
        UNet1D(**{**sizes, **options})
