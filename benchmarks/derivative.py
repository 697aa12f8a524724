"""Time of du/dt in one forward-mode pass of the U-Net, beside its plain forward pass.

The plain layers are PyTorch's own, with PyTorch's rules; ours are those of
``mfpolicy/networks/forward_mode.py``. In turn, one thread, medians:

    python benchmarks/derivative.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from mfpolicy import networks
from mfpolicy.networks import live_conv, unet1d
from mfpolicy.objectives.derivative import forward_derivative

SIZES = {"mp1_small": ((128, 256, 256), 32), "mp1": ((512, 1024, 2048), 8)}
ROUNDS = 15


def build(widths: tuple[int, ...], *, plain: bool) -> networks.Network:
    """The U-Net with PyTorch's group norm and no stacking of tangents, or with ours."""
    torch.manual_seed(0)
    net = networks.build("unet1d", action_dim=4, horizon=4, condition_dim=256, widths=widths)
    for module in net.modules() if plain else ():
        if isinstance(module, unet1d.GroupNorm):
            module.__class__ = nn.GroupNorm
        if isinstance(module, live_conv.LiveConv1d):
            module.forward = lambda x, conv=module: conv._convolve(x, conv.bias)
        if isinstance(module, live_conv.LiveUpsample1d):
            module.forward = lambda x, conv=module: conv._upsample(x, conv.bias)
    return net


def measure(name: str) -> None:
    """Prints one preset's medians in ms and how far the two derivatives lie apart."""
    widths, batch = SIZES[name]
    ours, plain = build(widths, plain=False), build(widths, plain=True)
    z, condition = torch.randn(batch, 4, 4), torch.randn(batch, 256)
    r, t = torch.zeros(batch), torch.rand(batch)
    tangents = (z, torch.zeros(batch), torch.ones(batch))

    def velocity(net: networks.Network) -> Callable[..., torch.Tensor]:
        prepared = net.prepare(condition)
        return lambda z, r, t: net(z, r, t, prepared)

    works = {
        "forward": lambda: ours(z, r, t, ours.prepare(condition)),
        "torch.func.jvp, plain layers": lambda: torch.func.jvp(
            velocity(plain), (z, r, t), tangents
        )[1],
        "ours": lambda: forward_derivative(velocity(ours), z, r, t, z),
    }
    times: dict[str, list[float]] = {work: [] for work in works}
    for _ in range(ROUNDS):
        for work, function in works.items():
            started = time.perf_counter()
            function()
            times[work].append(1e3 * (time.perf_counter() - started))
    medians = {work: round(statistics.median(values), 1) for work, values in times.items()}
    results = [works[work]() for work in list(works)[1:]]
    apart = float((results[0] - results[1]).abs().max())
    print(f"{name}, batch {batch}: ms {medians}, largest difference {apart:.1e}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.no_grad():
        for preset in SIZES:
            measure(preset)
