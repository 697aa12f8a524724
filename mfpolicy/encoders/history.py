"""How the vectors of the observed frames become one."""

from __future__ import annotations

import torch
from torch import nn

from mfpolicy.encoders.attention import Attention
from mfpolicy.registry import Registry

HISTORIES: Registry[History] = Registry("history")


class History(nn.Module):
    """(B, To, V) → one vector a row.

    Args:
        dim: V.
        n_obs_steps: To.

    Attributes:
        output_dim: size of the vector.
    """

    output_dim: int

    def __init__(self, *, dim: int, n_obs_steps: int) -> None:
        super().__init__()

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """(B, To, V) → (B, output_dim)."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward()")


@HISTORIES.register("stacking")
class Stacking(History):
    """The frames side by side."""

    def __init__(self, *, dim: int, n_obs_steps: int) -> None:
        super().__init__(dim=dim, n_obs_steps=n_obs_steps)
        self.output_dim = n_obs_steps * dim

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """(B, To, V) → (B, To · V)."""
        return frames.flatten(1)


@HISTORIES.register("attention")
class HistoryAttention(History):
    """The last frame looks at all of them; what it finds is added to it.

    The vector has the size of one frame however many there are.
    """

    width, heads = 64, 4

    def __init__(self, *, dim: int, n_obs_steps: int) -> None:
        super().__init__(dim=dim, n_obs_steps=n_obs_steps)
        self.output_dim = dim
        self.place = nn.Parameter(torch.randn(n_obs_steps, dim) * 0.1)
        self.norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, dim, width=self.width, heads=self.heads)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """(B, To, V) → (B, V)."""
        placed = self.norm(frames + self.place)
        return frames[:, -1] + self.attention(placed[:, -1:], placed)[:, 0]
