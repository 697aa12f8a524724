"""Conditional data whose law is known: what every objective is trained on and measured against.

With the condition c ~ U(-1, 1) and m_j(c) = 0.25 sin(pi c + phase_j),

    oracle A:    x = m(c) + 0.3 n,      n standard normal: one Gaussian, its mean moved by c;
    oracle B:    x = m(c) + 0.7 s a,    s = +1 with probability (1 + 0.6 c) / 2, else -1: two
                                        points, moved and reweighed by c; a are the alternating
                                        signs of the dimensions.

Chunks lie within [-1, 1], as normalised actions do, but for A's tails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Oracle:
    """Either law on chunks (horizon, action_dim); conditions are (B, 1).

    Attributes:
        horizon: Th.
        action_dim: A.
        two_modes: oracle B instead of A.
        sigma: standard deviation of A.
        half: distance of B's modes from their centre in every dimension.
        sway: amplitude of the centre.
    """

    horizon: int
    action_dim: int
    two_modes: bool
    sigma: float = 0.3
    half: float = 0.7
    sway: float = 0.25

    @property
    def dims(self) -> int:
        return self.horizon * self.action_dim

    def conditions(self, rows: int, generator: torch.Generator) -> torch.Tensor:
        """Draws c, (rows, 1)."""
        return 2 * torch.rand(rows, 1, generator=generator) - 1

    def centre(self, condition: torch.Tensor) -> torch.Tensor:
        """m(c), (B, Th, A)."""
        phase = torch.arange(self.dims) * (2 * math.pi / self.dims)
        return self._chunk(self.sway * (math.pi * condition + phase).sin())

    def share(self, condition: torch.Tensor) -> torch.Tensor:
        """Probability of the upper mode, (B, 1, 1)."""
        return ((1 + 0.6 * condition) / 2)[:, :, None]

    def mean(self, condition: torch.Tensor) -> torch.Tensor:
        """E[x | c], (B, Th, A)."""
        lean = self.half * (2 * self.share(condition) - 1) * self.signs
        return self.centre(condition) + (lean if self.two_modes else 0)

    def std(self, condition: torch.Tensor) -> torch.Tensor:
        """Standard deviation of every dimension given c, (B,)."""
        share = self.share(condition)[:, 0, 0]
        if self.two_modes:
            return 2 * self.half * (share * (1 - share)).sqrt()
        return torch.full_like(share, self.sigma)

    def sample(self, condition: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draws x given c, (B, Th, A)."""
        x = self.centre(condition)
        if not self.two_modes:
            return x + self.sigma * torch.randn(x.shape, generator=generator)
        chance = torch.rand(len(x), 1, 1, generator=generator)
        return x + torch.where(chance < self.share(condition), self.half, -self.half) * self.signs

    def place(self, condition: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Where x lies along the line through both modes, which are at -1 and 1; (B,)."""
        return ((x - self.centre(condition)) * self.signs).flatten(1).mean(dim=1) / self.half

    def distance(self, condition: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Root mean square distance from the nearer mode, half the modes' distance is 1; (B,)."""
        offset = (x - self.centre(condition)) / self.half
        squares = [(offset - s * self.signs).square().flatten(1).mean(dim=1) for s in (-1, 1)]
        return torch.minimum(*squares).sqrt()

    @property
    def signs(self) -> torch.Tensor:
        """a, (Th, A)."""
        return self._chunk(1.0 - 2 * (torch.arange(self.dims) % 2)[None])[0]

    def _chunk(self, flat: torch.Tensor) -> torch.Tensor:
        return flat.view(-1, self.horizon, self.action_dim)


ORACLES = {
    "A 1-D": Oracle(1, 1, two_modes=False),
    "A 16-D": Oracle(4, 4, two_modes=False),
    "B 1-D": Oracle(1, 1, two_modes=True),
    "B 16-D": Oracle(4, 4, two_modes=True),
}
