"""Which steps of a sequence each tap of a convolution joins."""

from __future__ import annotations

from mfpolicy.networks.live_conv import LiveConv1d, LiveUpsample1d

Pairs = list[list[tuple[int, int]]]
"""For each tap the steps (to, from) that it joins."""


def convolution(conv: LiveConv1d) -> Pairs:
    """out[m] = Σ_j W[j] x[m stride + first + j − radius] inside the sequence."""
    radius = conv.kernel_size // 2
    steps = (conv.length - 1) // conv.stride + 1
    shifts = [conv.first + tap - radius for tap in range(conv.weight.shape[2])]
    return [
        [(m, m * conv.stride + s) for m in range(steps) if 0 <= m * conv.stride + s < conv.length]
        for s in shifts
    ]


def upsampling(grow: LiveUpsample1d) -> Pairs:
    """out[2 l + j − 1] += W[j] x[l] inside the sequence; at L = 1 j is 1 or 2."""
    taps = range(1, 3) if grow.length == 1 else range(4)
    return [
        [
            (2 * step + tap - 1, step)
            for step in range(grow.length)
            if 0 <= 2 * step + tap - 1 < 2 * grow.length
        ]
        for tap in taps
    ]
