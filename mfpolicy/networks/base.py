"""What every network offers to objectives and policies."""

from __future__ import annotations

import torch
from torch import nn

from mfpolicy.registry import Registry

NETWORKS: Registry[Network] = Registry("network")


class Network(nn.Module):
    """Average velocity u(z, r, t | condition) of an action chunk.

    A subclass implements :meth:`features`; it must be differentiable in forward mode
    (``torch.func.jvp``) with respect to z, r and t.

    Attributes:
        action_dim: A.
        horizon: Th.
        condition_dim: C.
    """

    def __init__(self, *, action_dim: int, horizon: int, condition_dim: int) -> None:
        super().__init__()
        self.action_dim = action_dim
        self.horizon = horizon
        self.condition_dim = condition_dim

    def prepare(self, condition: torch.Tensor) -> torch.Tensor:
        """Returns the part of the work that depends on the condition (B, C) alone.

        One training step evaluates the network at several (z, r, t) under the same condition;
        what this returns is computed once and handed to each evaluation.
        """
        return condition

    def features(
        self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, prepared: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Returns u (B, Th, A) and the hidden features, each (B, D), for regularisers."""
        raise NotImplementedError(f"{type(self).__name__} must implement features()")

    def forward(
        self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, prepared: torch.Tensor
    ) -> torch.Tensor:
        """Returns u(z, r, t).

        Args:
            z: (B, Th, A).
            r: (B,) in [0, t].
            t: (B,) in [0, 1].
            prepared: what :meth:`prepare` returned.
        """
        return self.features(z, r, t, prepared)[0]
