"""Layers that act on every point, or every group of points, alike."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def point_mlp(dim: int, widths: Sequence[int]) -> nn.Sequential:
    """Linear → layer norm → ReLU for each width, over the last axis."""
    layers: list[nn.Module] = []
    for before, width in zip((dim, *widths), widths, strict=False):
        layers += [nn.Linear(before, width), nn.LayerNorm(width), nn.ReLU()]
    return nn.Sequential(*layers)


def projection(dim: int, output_dim: int) -> nn.Sequential:
    """Linear → layer norm: a pooled feature (F, dim) → the vector of a frame (F, output_dim)."""
    return nn.Sequential(nn.Linear(dim, output_dim), nn.LayerNorm(output_dim))
