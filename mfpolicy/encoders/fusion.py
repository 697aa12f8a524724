"""How a frame's point cloud and robot state become one vector."""

from __future__ import annotations

import torch
from torch import nn

from mfpolicy.encoders.attention import Attention
from mfpolicy.encoders.base import CloudEncoder
from mfpolicy.encoders.state import StateEncoder
from mfpolicy.errors import ConfigError
from mfpolicy.registry import Registry

FUSIONS: Registry[Fusion] = Registry("fusion")

Fused = tuple[torch.Tensor, torch.Tensor | None]
"""A vector (F, V) and the tokens (F, K, D), or None where there are none."""


class Fusion(nn.Module):
    """A frame's cloud and state → its vector; the tokens stay beside it, if there are any.

    Args:
        cloud: the point-cloud encoder.
        state: the robot-state encoder.
        tokens: whether the network is handed the cloud's tokens.

    Attributes:
        output_dim: size of the vector.
        needs_tokens: whether it looks at tokens of the cloud.
    """

    needs_tokens: bool = False

    def __init__(self, *, cloud: CloudEncoder, state: StateEncoder, tokens: bool) -> None:
        super().__init__()
        self.output_dim = cloud.output_dim + state.output_dim

    def forward(
        self, vector: torch.Tensor, state: torch.Tensor, tokens: torch.Tensor | None
    ) -> Fused:
        """Cloud's vector (F, C), state's feature (F, S), tokens (F, K, D) or None → fused."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward()")


@FUSIONS.register("concatenation")
class Concatenation(Fusion):
    """Cloud ⊕ state (DP3's form)."""

    def forward(
        self, vector: torch.Tensor, state: torch.Tensor, tokens: torch.Tensor | None
    ) -> Fused:
        """See :class:`Fusion`."""
        return torch.cat([vector, state], dim=-1), tokens


@FUSIONS.register("film")
class Film(Fusion):
    """The state scales and shifts every channel of the cloud (Perez et al. 2018), and stays beside.

    Vector and tokens have a scale and a shift each: what matters in a scene may depend on where
    the robot is in it. The first weights are small, so that it begins as concatenation does.
    """

    def __init__(self, *, cloud: CloudEncoder, state: StateEncoder, tokens: bool) -> None:
        super().__init__(cloud=cloud, state=state, tokens=tokens)
        self.of_vector = _modulation(state.output_dim, cloud.output_dim)
        self.of_tokens = _modulation(state.output_dim, cloud.token_dim) if tokens else None

    def forward(
        self, vector: torch.Tensor, state: torch.Tensor, tokens: torch.Tensor | None
    ) -> Fused:
        """See :class:`Fusion`."""
        scale, shift = self.of_vector(state).chunk(2, dim=-1)
        if tokens is not None and self.of_tokens is not None:
            token_scale, token_shift = self.of_tokens(state)[:, None].chunk(2, dim=-1)
            tokens = tokens * (1 + token_scale) + token_shift
        return torch.cat([vector * (1 + scale) + shift, state], dim=-1), tokens


@FUSIONS.register("cross_attention")
class CrossAttention(Fusion):
    """The state looks at the cloud's tokens; what it finds is added to the cloud's vector.

    Raises:
        ConfigError: the encoder has no tokens.
    """

    needs_tokens = True
    heads = 4

    def __init__(self, *, cloud: CloudEncoder, state: StateEncoder, tokens: bool) -> None:
        super().__init__(cloud=cloud, state=state, tokens=tokens)
        if not cloud.tokens:
            raise ConfigError(
                "fusion=cross_attention needs an encoder that has tokens",
                received=type(cloud).__name__,
                remedy="use encoder=point_transformer, or another fusion",
            )
        width = cloud.token_dim
        self.ask = nn.Linear(state.output_dim, width)
        self.attention = Attention(width, width, width=width, heads=self.heads)
        self.found = nn.Linear(width, cloud.output_dim)

    def forward(
        self, vector: torch.Tensor, state: torch.Tensor, tokens: torch.Tensor | None
    ) -> Fused:
        """See :class:`Fusion`."""
        assert tokens is not None
        found = self.found(self.attention(self.ask(state)[:, None], tokens)[:, 0])
        return torch.cat([vector + found, state], dim=-1), tokens


def _modulation(dim: int, channels: int) -> nn.Linear:
    layer = nn.Linear(dim, 2 * channels)
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer
