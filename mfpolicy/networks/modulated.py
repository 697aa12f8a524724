"""What networks of residual blocks share that time and condition scale, shift and gate.

Every branch f of a block reads its input normalised and modulated, and is gated:

    x ← x + (1 + g) f((1 + s) n(x) + b),        (s, b, g) = W Mish(time ⊕ condition) + w.       (1)

Mish is elementwise and W linear, so (1) splits into a part of the time and a part of the condition
and, where guidance is an input, one of guidance. The condition's part of all blocks is one matrix
product, done once per condition (:meth:`ModulatedNetwork.prepare`).

DiT (Peebles & Xie 2023) starts its gates, and its last layer, at zero, to train dozens of blocks.
The few blocks here start at ordinary weights: a derivative pass through an average velocity that
is zero everywhere teaches nothing in the first steps.
"""

from __future__ import annotations

import torch
from torch import nn

from mfpolicy.networks.base import Network
from mfpolicy.networks.film import draw_as_one
from mfpolicy.networks.forward_mode import PlainLayerNorm
from mfpolicy.networks.time_embedding import GuidanceEmbedding, IntervalEmbedding

PARTS = 3  # scale, shift, gate of a branch


class ModulatedNetwork(Network):
    """Embeds a chunk's steps, sends them through blocks under (1), and reads u off the end.

    A subclass implements :meth:`blocks`.

    Args:
        action_dim: A.
        horizon: Th.
        condition_dim: C.
        width: channels of a step, W.
        branches: of all blocks together.
        time_dim: size of the interval embedding.
        top_frequency: highest frequency of the time embedding.
        velocity_head: a second last layer, which only :meth:`with_velocity` evaluates.
        scale_input: :meth:`guide` takes a guidance scale and its interval.
    """

    def __init__(
        self,
        *,
        action_dim: int,
        horizon: int,
        condition_dim: int,
        width: int,
        branches: int,
        time_dim: int,
        top_frequency: float,
        velocity_head: bool,
        scale_input: bool,
    ) -> None:
        super().__init__(action_dim=action_dim, horizon=horizon, condition_dim=condition_dim)
        self.branches = branches
        self.modulation_dim = PARTS * branches * width
        self.time = IntervalEmbedding(time_dim, top_frequency=top_frequency)
        self.film_time = nn.Linear(time_dim, self.modulation_dim, bias=False)
        self.film_condition = nn.Linear(condition_dim, self.modulation_dim)
        draw_as_one(self.film_time, self.film_condition)
        self.enter = nn.Linear(action_dim, width)
        self.place = nn.Parameter(torch.randn(horizon, width) * 0.1)
        self.norm = PlainLayerNorm(width)
        self.leave = nn.Linear(width, action_dim)
        if velocity_head:
            self.velocity_head = nn.Linear(width, action_dim)
        if scale_input:
            self.guidance = GuidanceEmbedding(time_dim, top_frequency=top_frequency)
            self.film_guidance = nn.Linear(time_dim, self.modulation_dim, bias=False)

    def prepare(self, condition: torch.Tensor) -> torch.Tensor:
        """(B, C) → the condition's share (B, M) of all scales, shifts and gates."""
        return self.film_condition(nn.functional.mish(condition))

    def features(
        self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, prepared: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Returns u (B, Th, A) and the flattened output of every block but the last (B, D)."""
        x, hidden = self._trunk(z, r, t, prepared)
        return self.leave(x), hidden

    def with_velocity(
        self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, prepared: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """Returns u, the velocity head's v, and hidden features, as in the base class."""
        if not hasattr(self, "velocity_head"):
            return super().with_velocity(z, r, t, prepared)
        x, hidden = self._trunk(z, r, t, prepared)
        return self.leave(x), self.velocity_head(x), hidden

    def guide(self, prepared: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        """(B, F), (B, 3) → (B, F): guidance has a share in every modulation, as time has."""
        if not hasattr(self, "film_guidance"):
            return super().guide(prepared, guidance)
        share = self.film_guidance(nn.functional.mish(self.guidance(guidance)))
        rest = prepared[:, self.modulation_dim :]
        return torch.cat([prepared[:, : self.modulation_dim] + share, rest], dim=1)

    def blocks(
        self, x: torch.Tensor, modulation: torch.Tensor, prepared: torch.Tensor
    ) -> list[torch.Tensor]:
        """Returns the output of every block, (B, Th, W) each.

        Args:
            x: (B, Th, W).
            modulation: of every branch (B, branches, 3, 1, W).
            prepared: what :meth:`prepare` returned.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement blocks()")

    def _trunk(
        self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, prepared: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """What the heads see (B, Th, W), and the hidden features."""
        share = prepared[:, : self.modulation_dim]
        films = share + self.film_time(nn.functional.mish(self.time(r, t)))
        modulation = films.unflatten(1, (self.branches, PARTS, 1, -1))
        outputs = self.blocks(self.enter(z) + self.place, modulation, prepared)
        return self.norm(outputs[-1]), [x.flatten(1) for x in outputs[:-1]]


class Branch(nn.Module):
    """The frame of one branch, Eq. 1; a subclass says what f is.

    Args:
        width: W.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = PlainLayerNorm(width)

    def into(self, x: torch.Tensor, modulation: torch.Tensor) -> torch.Tensor:
        """(1 + s) n(x) + b of x (B, Th, W) and (s, b, g) (B, 3, 1, W)."""
        return self.norm(x) * (1 + modulation[:, 0]) + modulation[:, 1]

    def onto(self, x: torch.Tensor, branch: torch.Tensor, modulation: torch.Tensor) -> torch.Tensor:
        """Returns x + (1 + g) f (B, Th, W)."""
        return x + branch * (1 + modulation[:, 2])


class ChannelBranch(Branch):
    """An MLP over the channels of every step."""

    def __init__(self, width: int, *, hidden: int) -> None:
        super().__init__(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.Mish(), nn.Linear(hidden, width))

    def forward(self, x: torch.Tensor, modulation: torch.Tensor) -> torch.Tensor:
        """(B, Th, W), (B, 3, 1, W) → (B, Th, W)."""
        return self.onto(x, self.mlp(self.into(x, modulation)), modulation)
