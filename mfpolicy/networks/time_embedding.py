"""Embedding of the interval (r, t) that an average velocity spans."""

from __future__ import annotations

import math

import torch
from torch import nn


class SinusoidalEmbedding(nn.Module):
    """Sines and cosines of a time in [0, 1] at geometrically spaced frequencies.

    MeanFlow's target holds ∂u/∂t, hence the derivative of this embedding, which grows with the
    top frequency: a factor of 100, usual for objectives without a time derivative, makes MeanFlow
    training diverge, and 1 to 4 train (Geng et al. 2025 use 1).

    Args:
        dim: size of the embedding, even.
        top_frequency: highest angular frequency; the lowest is 10⁻⁴ of it.
    """

    frequencies: torch.Tensor

    def __init__(self, dim: int, *, top_frequency: float) -> None:
        super().__init__()
        exponents = torch.arange(dim // 2) / (dim // 2 - 1)
        frequencies = top_frequency * torch.exp(-math.log(1e4) * exponents)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, time: torch.Tensor) -> torch.Tensor:
        """(B,) → (B, dim)."""
        angles = time[:, None] * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class IntervalEmbedding(nn.Module):
    """Sum of two learned embeddings, one of t and one of r (MP1's form).

    Args:
        dim: size of the embedding.
        top_frequency: see :class:`SinusoidalEmbedding`.
    """

    def __init__(self, dim: int, *, top_frequency: float) -> None:
        super().__init__()
        self.sinusoids = SinusoidalEmbedding(dim, top_frequency=top_frequency)
        self.end = _mlp(dim)
        self.start = _mlp(dim)

    def forward(self, r: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """(B,), (B,) → (B, dim)."""
        return self.end(self.sinusoids(t)) + self.start(self.sinusoids(r))


class GuidanceEmbedding(nn.Module):
    """Sum of learned embeddings of a guidance scale and of the interval that it holds in.

    Args:
        dim: size of the embedding.
        top_frequency: see :class:`SinusoidalEmbedding`.
    """

    def __init__(self, dim: int, *, top_frequency: float) -> None:
        super().__init__()
        self.sinusoids = SinusoidalEmbedding(dim, top_frequency=top_frequency)
        self.inputs = nn.ModuleList(_mlp(dim) for _ in range(3))

    def forward(self, guidance: torch.Tensor) -> torch.Tensor:
        """(w, t_min, t_max) of each row (B, 3), w ≥ 1 → (B, dim)."""
        w, low, high = guidance.unbind(dim=1)
        values = (1 / w, low, high)  # all of them in [0, 1]
        return sum(
            (embed(self.sinusoids(x)) for embed, x in zip(self.inputs, values, strict=True)),
            start=torch.zeros_like(w[:, None]),
        )


def _mlp(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, 4 * dim), nn.Mish(), nn.Linear(4 * dim, dim))
