"""What every network offers to objectives and policies."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from mfpolicy.errors import ConfigError
from mfpolicy.registry import Registry

NETWORKS: Registry[Network] = Registry("network")


class Network(nn.Module):
    """Average velocity u(z, r, t | condition) of an action chunk.

    A subclass implements :meth:`features`; it must be differentiable in forward mode
    (``torch.func.jvp``) with respect to z, r and t.

    Attributes:
        action_dim: A.
        horizon: Th.
        condition_dim: C, without tokens.
        takes_tokens: whether it is built with ``tokens`` and ``token_dim``, and then takes a
            condition (B, C + tokens · token_dim) with the flattened tokens behind the vector.
        compiled_features: what training calls in place of :meth:`features` where it takes a
            gradient; None leaves that to :meth:`features`. Passes in forward mode never use it.
    """

    takes_tokens: bool = False
    compiled_features: Callable[..., tuple[torch.Tensor, list[torch.Tensor]]] | None = None

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

    def with_velocity(
        self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, prepared: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """Returns u and a second head's velocity v, (B, Th, A) each, and hidden features (B, D).

        Raises:
            ConfigError: this network has no such head.
        """
        raise ConfigError(
            "an objective with a velocity head needs a network that has one",
            received=type(self).__name__,
            remedy="build the network with velocity_head=True",
        )

    def guide(self, prepared: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        """Adds guidance, (w, t_min, t_max) of each row (B, 3), to what :meth:`prepare` returned.

        It is the same at every (z, r, t), so that evaluations and their derivatives cost as much
        as without it.

        Raises:
            ConfigError: this network takes no guidance as an input.
        """
        raise ConfigError(
            "guidance at a chosen scale needs a network that takes it as an input",
            received=type(self).__name__,
            remedy="build the network with scale_input=True",
        )

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
