"""Transformer over the action chunk, with cross-attention to the tokens of a scene."""

from __future__ import annotations

import torch
from torch import nn

from mfpolicy.errors import ConfigError
from mfpolicy.networks.base import NETWORKS
from mfpolicy.networks.modulated import Branch, ChannelBranch, ModulatedNetwork
from mfpolicy.options import check_whole


class SelfBranch(Branch):
    """Steps of the chunk attend to one another."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__(width)
        self.heads = heads
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, modulation: torch.Tensor) -> torch.Tensor:
        """(B, Th, W), (B, 3, 1, W) → (B, Th, W)."""
        split = self.queries_keys_values(self.into(x, modulation)).chunk(3, dim=2)
        q, k, v = (_by_head(part, self.heads) for part in split)
        return self.onto(x, self.out(_attend(q, k, v)), modulation)


class CrossBranch(Branch):
    """Steps of the chunk attend to tokens, whose keys and values are given."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__(width)
        self.heads = heads
        self.queries = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(
        self, x: torch.Tensor, modulation: torch.Tensor, keys_values: torch.Tensor
    ) -> torch.Tensor:
        """(B, Th, W), (B, 3, 1, W), (B, K, 2 W) → (B, Th, W)."""
        q = _by_head(self.queries(self.into(x, modulation)), self.heads)
        k, v = (_by_head(part, self.heads) for part in keys_values.chunk(2, dim=2))
        return self.onto(x, self.out(_attend(q, k, v)), modulation)


@NETWORKS.register("transformer")
class Transformer(ModulatedNetwork):
    """DiT over the steps of a chunk under time and condition (:mod:`mfpolicy.networks.modulated`).

    A block has self-attention, cross-attention where the encoder has tokens, and an MLP. Keys and
    values of the tokens do not depend on (z, r, t): those of all blocks are computed once per
    condition (:meth:`prepare`), so the several passes of a training step, and a sampler of several
    evaluations, share them. Attention is written out: PyTorch's fused kernels have no derivative in
    forward mode.

    Args:
        action_dim: A.
        horizon: Th.
        condition_dim: C, of the condition's vector.
        tokens: K, tokens behind the vector; 0 for encoders without. token_dim: size of one.
        width: channels of a step, W.
        depth: blocks.
        heads: of each attention, a divisor of ``width``.
        channel_hidden: hidden size of the MLP, as a multiple of ``width``.
        time_dim: size of the interval embedding.
        top_frequency: highest frequency of the time embedding; large values diverge.
        velocity_head: a second last layer, which only :meth:`with_velocity` evaluates.
        scale_input: :meth:`guide` takes a guidance scale and its interval.

    Raises:
        ConfigError: a number is out of range, or heads do not divide the width.

    Example:
        >>> net = Transformer(action_dim=4, horizon=4, condition_dim=8, tokens=5, token_dim=6)
        >>> z, time = torch.zeros(2, 4, 4), torch.ones(2)
        >>> net(z, 0 * time, time, net.prepare(torch.zeros(2, 8 + 5 * 6))).shape
        torch.Size([2, 4, 4])

    Source: Peebles & Xie 2023, "Scalable Diffusion Models with Transformers"; the cross-attention
    to points as in ManiFlow's DiT-X (Yan et al. 2025).
    """

    takes_tokens = True

    def __init__(
        self,
        *,
        action_dim: int,
        horizon: int,
        condition_dim: int,
        tokens: int = 0,
        token_dim: int = 0,
        width: int = 128,
        depth: int = 3,
        heads: int = 4,
        channel_hidden: int = 4,
        time_dim: int = 128,
        top_frequency: float = 1.0,
        velocity_head: bool = False,
        scale_input: bool = False,
    ) -> None:
        check_whole("depth", depth, 1, 1024)
        if heads < 1 or width % heads:
            raise ConfigError(f"heads must divide the width {width}", received=heads)
        super().__init__(
            action_dim=action_dim,
            horizon=horizon,
            condition_dim=condition_dim,
            width=width,
            branches=(3 if tokens else 2) * depth,
            time_dim=time_dim,
            top_frequency=top_frequency,
            velocity_head=velocity_head,
            scale_input=scale_input,
        )
        self.tokens, self.depth = tokens, depth
        self.own = nn.ModuleList(SelfBranch(width, heads=heads) for _ in range(depth))
        hidden = channel_hidden * width
        self.channels = nn.ModuleList(ChannelBranch(width, hidden=hidden) for _ in range(depth))
        if tokens:
            self.cross = nn.ModuleList(CrossBranch(width, heads=heads) for _ in range(depth))
            self.keys_values = nn.Linear(token_dim, depth * 2 * width)

    def prepare(self, condition: torch.Tensor) -> torch.Tensor:
        """(B, C + K · token_dim) → modulation's share and all keys and values, (B, M + K · 2 L W).

        L blocks have keys and values of their own.
        """
        share = super().prepare(condition[:, : self.condition_dim])
        if not self.tokens:
            return share
        tokens = condition[:, self.condition_dim :].unflatten(1, (self.tokens, -1))
        return torch.cat([share, self.keys_values(tokens).flatten(1)], dim=1)

    def blocks(
        self, x: torch.Tensor, modulation: torch.Tensor, prepared: torch.Tensor
    ) -> list[torch.Tensor]:
        """Returns the output of every block, (B, Th, W) each."""
        films = iter(modulation.unbind(dim=1))
        scene: tuple[torch.Tensor, ...] = ()
        if self.tokens:
            of_all = prepared[:, self.modulation_dim :].unflatten(1, (self.tokens, self.depth, -1))
            scene = of_all.unbind(dim=2)
        outputs = []
        for index in range(self.depth):
            x = self.own[index](x, next(films))
            if scene:
                x = self.cross[index](x, next(films), scene[index])
            x = self.channels[index](x, next(films))
            outputs.append(x)
        return outputs


def _by_head(x: torch.Tensor, heads: int) -> torch.Tensor:
    """(B, N, W) → (B, heads, N, W / heads)."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def _attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention of (B, heads, Q, D) to (B, heads, K, D), heads side by side (B, Q, W)."""
    weights = (q @ k.transpose(2, 3) * q.shape[-1] ** -0.5).softmax(dim=3)
    return (weights @ v).transpose(1, 2).flatten(2)
