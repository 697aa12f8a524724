"""The robot's state from the cloud alone: where the end effector is must be seen, not told."""

from __future__ import annotations

import torch

from mfpolicy.encoders.auxiliary.base import AUXILIARIES, Auxiliary, Sizes, head
from mfpolicy.encoders.observation import Encoded
from mfpolicy.types import Batch


@AUXILIARIES.register("state")
class StateFromCloud(Auxiliary):
    """Mean squared error of each frame's state (S,), predicted from the cloud's vector.

    The state holds the end effector's position in every suite here. A policy is told it as well,
    so that its cloud encoder may ignore where the arm is in the scene; this asks for it.

    Args:
        sizes: of what it is built on.
        weight: factor on its loss.
        hidden_dim: of the head.
    """

    def __init__(self, *, sizes: Sizes, weight: float = 0.1, hidden_dim: int = 128) -> None:
        super().__init__(sizes=sizes, weight=weight)
        self.head = head(sizes.cloud_dim, hidden_dim, sizes.state_dim)

    def forward(self, encoded: Encoded, seen: Batch) -> torch.Tensor:
        """See :class:`Auxiliary`."""
        states = seen.agent_pos.flatten(0, 1)[encoded.first]  # (F, S)
        return (self.head(encoded.clouds) - states).square().mean()
