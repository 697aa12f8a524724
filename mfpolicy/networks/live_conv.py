"""Convolutions over short sequences without the taps that only ever meet zero padding.

At sequence length L a kernel of size k reaches at most L − 1 steps to either side, so of a padded
kernel of size 5 one tap is live at L = 1 and three at L = 2. The others multiply zeros: they have
exactly zero gradient and no effect. Leaving them out is exact and, in the paper's U-Net at
horizon 4, saves two thirds of all weights.

The live taps keep the initial distribution of the full kernel (its fan-in), so training follows
the same path as the padded form.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from mfpolicy.networks.forward_mode import apply_linear


class LiveConv1d(nn.Module):
    """Equals ``nn.Conv1d(…, kernel_size, stride, padding=kernel_size // 2)`` at one length.

    Computed as one matrix product over unfolded windows: for the few steps of an action chunk
    this is faster than a convolution kernel, most of all at batch size 1.

    Args:
        in_channels, out_channels: channels.
        kernel_size: odd size of the full kernel.
        length: the sequence length L it will always see.
        stride: 1 or 2.

    Example:
        >>> LiveConv1d(8, 8, kernel_size=5, length=1).weight.shape
        torch.Size([8, 8, 1])
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel_size: int, length: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.kernel_size, self.length, self.stride = kernel_size, length, stride
        radius = kernel_size // 2
        steps_out = (length - 1) // stride + 1
        self.first = max(0, radius - (steps_out - 1) * stride)
        last = min(kernel_size - 1, radius + length - 1)
        self.left = radius - self.first
        self.right = max(0, (steps_out - 1) * stride + last - radius - (length - 1))
        full, bias = _full_initial(out_channels, in_channels, kernel_size)
        self.weight = nn.Parameter(full[:, :, self.first : last + 1].clone())
        self.bias = nn.Parameter(bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C_in, L) → (B, C_out, L_out)."""
        return apply_linear(self._convolve, x, self.bias)

    def _convolve(self, x: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        taps = self.weight.shape[2]
        if taps == 1 and x.shape[2] == 1:
            # flatten, a view: the gradient of indexing would be copied into as many zeros
            return F.linear(x.flatten(1), self.weight.flatten(1), bias)[:, :, None]
        windows = F.pad(x, (self.left, self.right)).unfold(2, taps, self.stride)
        rows = windows.transpose(1, 2).flatten(2)  # (B, L_out, C_in * taps)
        return F.linear(rows, self.weight.flatten(1), bias).transpose(1, 2)

    def full_weight(self) -> torch.Tensor:
        """The kernel (C_out, C_in, kernel_size) of the padded form, zero where a tap is dead."""
        after = self.kernel_size - self.first - self.weight.shape[2]
        return F.pad(self.weight, (self.first, after))


class LiveUpsample1d(nn.Module):
    """Equals ``nn.ConvTranspose1d(channels, channels, 4, stride=2, padding=1)`` at one length.

    At L = 1 only the two middle taps are live. Longer sequences use all four.

    Args:
        channels: channels in and out.
        length: the sequence length L it will always see; the output has 2 L steps.
    """

    def __init__(self, channels: int, *, length: int) -> None:
        super().__init__()
        self.length = length
        full, bias = _full_initial(channels, channels, 4)
        self.weight = nn.Parameter(full[:, :, 1:3].clone() if length == 1 else full)
        self.bias = nn.Parameter(bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, L) → (B, C, 2 L)."""
        return apply_linear(self._upsample, x, self.bias)

    def _upsample(self, x: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        batch, channels, length = x.shape
        if length > 1:
            return F.conv_transpose1d(x, self.weight, bias, stride=2, padding=1)
        y = (x[:, :, 0] @ self.weight.flatten(1)).view(batch, channels, 2)
        return y if bias is None else y + bias[:, None]

    def full_weight(self) -> torch.Tensor:
        """The kernel (C, C, 4) of the padded form, zero where a tap is dead."""
        return F.pad(self.weight, (1, 1)) if self.length == 1 else self.weight


def _full_initial(first: int, second: int, kernel_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """PyTorch's initial weight (first, second, kernel_size) and bias of the full kernel."""
    weight = torch.empty(first, second, kernel_size)
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
    bound = 1 / math.sqrt(second * kernel_size)
    return weight, torch.empty(first).uniform_(-bound, bound)
