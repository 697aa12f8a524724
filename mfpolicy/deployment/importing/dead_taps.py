"""Which taps of a padded convolution never meet anything but padding, and the proof."""

from __future__ import annotations

from dataclasses import dataclass

from mfpolicy.networks.live_conv import LiveConv1d, LiveUpsample1d


@dataclass(frozen=True)
class DeadTaps:
    """Taps of one convolution that no input step ever reaches.

    Attributes:
        name: of the convolution.
        kernel: taps in all. length: steps of its input.
        taps: the dead ones.
        weights: how many numbers they are.
    """

    name: str
    kernel: int
    length: int
    taps: tuple[int, ...]
    weights: int

    def __str__(self) -> str:
        taps = ", ".join(map(str, self.taps))
        return (
            f"taps {taps} of {self.kernel} at length {self.length}: "
            "they meet zero padding at every step"
        )


def dead_taps(name: str, conv: LiveConv1d | LiveUpsample1d) -> DeadTaps | None:
    """Returns the dead taps, None where every tap is live.

    Tap j of a convolution with stride s and padding p reads step s·i + j − p for output i, of a
    transposed one writes step s·i + j − p for input i; it is dead if none of these lies inside.

    Raises:
        AssertionError: the live taps are not those that the convolution keeps.

    Example:
        >>> dead_taps("middle", LiveConv1d(8, 8, kernel_size=5, length=1)).taps
        (0, 1, 3, 4)
    """
    if isinstance(conv, LiveConv1d):
        kernel, stride, padding = conv.kernel_size, conv.stride, conv.kernel_size // 2
        steps, inside = (conv.length - 1) // stride + 1, conv.length
    else:
        kernel, stride, padding, steps, inside = 4, 2, 1, conv.length, 2 * conv.length
    dead = tuple(
        tap
        for tap in range(kernel)
        if not any(0 <= stride * step + tap - padding < inside for step in range(steps))
    )
    outputs, inputs, kept = conv.weight.shape
    assert kept == kernel - len(dead), (name, kept, dead)
    weights = outputs * inputs * len(dead)
    return DeadTaps(name, kernel, conv.length, dead, weights) if dead else None
