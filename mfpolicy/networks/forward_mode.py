"""Layers with a derivative rule of their own in forward mode, where du/dt is computed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.autograd import forward_ad

LinearMap = Callable[[torch.Tensor, "torch.Tensor | None"], torch.Tensor]
"""A map (x, bias) → y that is linear in x (B, …) and adds the bias, or None, to it."""


def apply_linear(linear_map: LinearMap, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Returns ``linear_map(x, bias)``; in forward mode, value and tangent go through as one batch.

    The map acts on both alike, so one pass reads its weights once instead of twice.
    """
    value, tangent = forward_ad.unpack_dual(x)
    if tangent is None:
        return linear_map(x, bias)
    y, dy = linear_map(torch.cat([value, tangent]), None).chunk(2)
    shaped = bias.view(-1, *[1] * (y.ndim - 2))
    return forward_ad.make_dual(y + shaped, dy.contiguous())


class GroupNorm(nn.GroupNorm):
    """``nn.GroupNorm``, faster where du/dt is computed.

    PyTorch takes the forward derivative of group normalization apart into some thirty small
    operations. With n the normalised group and s its inverse deviation, it is
    dn = s (dx − mean(dx) − n mean(n dx)): over the U-Net this halves the time of a derivative pass.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(B, C, L) → (B, C, L)."""
        x, dx = forward_ad.unpack_dual(input)
        if dx is None:
            return super().forward(input)
        groups = (len(x), self.num_groups, -1)
        x_groups, dx_groups = x.reshape(groups), dx.reshape(groups)  # (B, G, C / G * L)
        variance, mean = torch.var_mean(x_groups, dim=2, correction=0, keepdim=True)
        scale = (variance + self.eps).rsqrt()
        n = (x_groups - mean) * scale
        dn = dx_groups - dx_groups.mean(dim=2, keepdim=True)
        dn = scale * (dn - n * (n * dx_groups).mean(dim=2, keepdim=True))
        weight, bias = self.weight[:, None], self.bias[:, None]
        y = torch.addcmul(bias, n.view_as(x), weight)
        return forward_ad.make_dual(y, dn.view_as(x) * weight)


class PlainLayerNorm(nn.Module):
    """``nn.LayerNorm(width, elementwise_affine=False)``, faster where du/dt is computed.

    The derivative is that of :class:`GroupNorm` over the last axis.

    Args:
        width: size of the last axis.
        eps: added to the variance.
    """

    def __init__(self, width: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.width, self.eps = width, eps

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(…, width) → (…, width)."""
        x, dx = forward_ad.unpack_dual(input)
        if dx is None:
            return nn.functional.layer_norm(input, (self.width,), eps=self.eps)
        variance, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
        scale = (variance + self.eps).rsqrt()
        n = (x - mean) * scale
        dn = dx - dx.mean(dim=-1, keepdim=True)
        return forward_ad.make_dual(n, scale * (dn - n * (n * dx).mean(dim=-1, keepdim=True)))
