"""Attention as encoders use it: they are never differentiated in forward mode."""

from __future__ import annotations

import torch
from torch import nn

from mfpolicy.errors import ConfigError


class Attention(nn.Module):
    """Queries look at a set; what they find comes back at their own size.

    Args:
        query_dim: size of a query.
        context_dim: size of an element of the set.
        width: size of all heads together.
        heads: a divisor of ``width``.

    Raises:
        ConfigError: heads do not divide the width.

    Example:
        >>> Attention(8, 16, width=4, heads=2)(torch.zeros(1, 3, 8), torch.zeros(1, 5, 16)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, query_dim: int, context_dim: int, *, width: int, heads: int) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ConfigError(f"heads must divide the width {width}", received=heads)
        self.heads = heads
        self.query = nn.Linear(query_dim, width)
        self.key_value = nn.Linear(context_dim, 2 * width)
        self.out = nn.Linear(width, query_dim)

    def forward(self, queries: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """(F, Q, query_dim), (F, K, context_dim) → (F, Q, query_dim)."""
        split = (self.query(queries), *self.key_value(context).chunk(2, dim=2))
        q, k, v = (x.unflatten(2, (self.heads, -1)).transpose(1, 2) for x in split)
        found = nn.functional.scaled_dot_product_attention(q, k, v)  # (F, heads, Q, width / heads)
        return self.out(found.transpose(1, 2).flatten(2))


class AttentionLayer(nn.Module):
    """Pre-norm self-attention and a two-layer MLP, each added to its input.

    Args:
        width: size of a token.
        heads: a divisor of it.
    """

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, width, width=width, heads=heads)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(F, K, width) → (F, K, width)."""
        normed = self.norm(x)
        x = x + self.attention(normed, normed)
        return x + self.mlp(x)
