"""What the action does to the robot: the change of state from one observed frame to the next."""

from __future__ import annotations

import torch

from mfpolicy.encoders.auxiliary.base import AUXILIARIES, Auxiliary, Sizes, head
from mfpolicy.encoders.observation import Encoded
from mfpolicy.errors import ConfigError
from mfpolicy.types import Batch

SMALLEST = 1e-3  # change of a normalised state, in [-1, 1], below which it counts as none


@AUXILIARIES.register("next_state")
class NextState(Auxiliary):
    """Squared error of the change of state, from a frame's fused vector and the action taken there.

    A chunk starts at the first observed frame, so the window holds frame, action and next frame.
    Every value of the state counts relative to how much it changes within the batch; frames that a
    window repeats at an episode's start show no change and are left out.

    Args:
        sizes: of what it is built on.
        weight: factor on its loss.
        hidden_dim: of the head.

    Raises:
        ConfigError: the policy sees one frame only.
    """

    def __init__(self, *, sizes: Sizes, weight: float = 0.1, hidden_dim: int = 128) -> None:
        super().__init__(sizes=sizes, weight=weight)
        if sizes.n_obs_steps < 2:
            raise ConfigError(
                "auxiliary.next_state needs a policy that sees at least two frames",
                received=sizes.n_obs_steps,
                remedy="set policy.n_obs_steps=2, or leave it off",
            )
        self.head = head(sizes.vector_dim + sizes.action_dim, hidden_dim, sizes.state_dim)

    def forward(self, encoded: Encoded, seen: Batch) -> torch.Tensor:
        """See :class:`Auxiliary`."""
        before = encoded.vectors[encoded.place[:, :-1]]  # (B, To - 1, V)
        actions = seen.action[:, : before.shape[1]]
        change = seen.agent_pos.diff(dim=1)  # (B, To - 1, S)
        moved = (encoded.place.diff(dim=1) != 0)[..., None]  # (B, To - 1, 1)
        count = moved.sum().clamp(min=1)
        scale = ((change.square() * moved).sum(dim=(0, 1)) / count).sqrt().clamp(min=SMALLEST)
        error = self.head(torch.cat([before, actions], dim=-1)) - change / scale
        return (error.square() * moved).sum() / (count * change.shape[-1])
