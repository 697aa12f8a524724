"""FiLM-conditioned 1-D U-Net over the action chunk, as in Diffusion Policy, DP3 and MP1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from mfpolicy.errors import ConfigError
from mfpolicy.networks.base import NETWORKS, Network
from mfpolicy.networks.film import draw_as_one
from mfpolicy.networks.forward_mode import GroupNorm
from mfpolicy.networks.live_conv import LiveConv1d, LiveUpsample1d
from mfpolicy.networks.time_embedding import GuidanceEmbedding, IntervalEmbedding
from mfpolicy.options import check_whole


class ConvBlock(nn.Module):
    """Convolution → group norm → Mish."""

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel_size: int, length: int, groups: int
    ) -> None:
        super().__init__()
        self.conv = LiveConv1d(in_channels, out_channels, kernel_size=kernel_size, length=length)
        self.norm = GroupNorm(groups, out_channels)
        self.activation = nn.Mish()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C_in, L) → (B, C_out, L)."""
        return self.activation(self.norm(self.conv(x)))


class ResidualBlock(nn.Module):
    """Two convolution blocks with FiLM after the first, and a residual connection."""

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel_size: int, length: int, groups: int
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.first = ConvBlock(
            in_channels, out_channels, kernel_size=kernel_size, length=length, groups=groups
        )
        self.second = ConvBlock(
            out_channels, out_channels, kernel_size=kernel_size, length=length, groups=groups
        )
        same = in_channels == out_channels
        self.residual = (
            nn.Identity()
            if same
            else LiveConv1d(in_channels, out_channels, kernel_size=1, length=length)
        )

    def forward(self, x: torch.Tensor, film: torch.Tensor) -> torch.Tensor:
        """(B, C_in, L) and scale ⊕ shift (B, 2 C_out) → (B, C_out, L)."""
        scale, shift = film.chunk(2, dim=1)
        hidden = self.first(x) * scale[:, :, None] + shift[:, :, None]
        return self.second(hidden) + self.residual(x)


class BlockPair(nn.Module):
    """The two residual blocks of a level; ``second`` is None where a level has one."""

    def __init__(self, first: ResidualBlock, second: ResidualBlock | None) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, x: torch.Tensor, films: Iterator[torch.Tensor]) -> torch.Tensor:
        """Takes one of ``films`` for each block."""
        x = self.first(x, next(films))
        return x if self.second is None else self.second(x, next(films))


@NETWORKS.register("unet1d")
class UNet1D(Network):
    """FiLM U-Net of Chi et al. (2023) with the (r, t) embeddings of MP1, in exact live-tap form.

    With widths (512, 1024, 2048) and horizon 4 it computes the same function, with the same
    gradients, as the paper's padded network, with a third of its weights.

    The FiLM layer of every block acts on Mish(time embedding ⊕ condition). Mish is elementwise and
    the layer linear, so it splits into a time part and a condition part; the condition part of
    all blocks is one matrix product, done once per condition (:meth:`prepare`).

    Args:
        action_dim: A.
        horizon: Th, divisible by 2^(len(widths) − 1).
        condition_dim: C.
        widths: channels per level.
        kernel_size: odd kernel size of the full convolutions.
        groups: groups of each group norm; divides every width.
        time_dim: size of the interval embedding.
        top_frequency: highest frequency of the time embedding (see its docstring).
        blocks: residual blocks of a level, 2, or 1 as in DP3's smaller network.
        velocity_head: a second last layer, which only :meth:`with_velocity` evaluates.
        scale_input: :meth:`guide` takes a guidance scale and its interval.

    Raises:
        ConfigError: horizon, kernel size, widths, groups and blocks do not fit one another.
    """

    def __init__(
        self,
        *,
        action_dim: int,
        horizon: int,
        condition_dim: int,
        widths: Sequence[int] = (512, 1024, 2048),
        kernel_size: int = 5,
        groups: int = 8,
        time_dim: int = 128,
        top_frequency: float = 1.0,
        blocks: int = 2,
        velocity_head: bool = False,
        scale_input: bool = False,
    ) -> None:
        super().__init__(action_dim=action_dim, horizon=horizon, condition_dim=condition_dim)
        _check(horizon, widths, kernel_size, groups)
        check_whole("blocks", blocks, 1, 2)
        self.time = IntervalEmbedding(time_dim, top_frequency=top_frequency)
        lengths = [horizon >> level for level in range(len(widths))]

        def pair(in_channels: int, out_channels: int, length: int) -> BlockPair:
            shape = {"kernel_size": kernel_size, "length": length, "groups": groups}
            first = ResidualBlock(in_channels, out_channels, **shape)
            second = ResidualBlock(out_channels, out_channels, **shape) if blocks == 2 else None
            return BlockPair(first, second)

        self.down = nn.ModuleList()
        self.shrink = nn.ModuleList()
        for level, (width, length) in enumerate(zip(widths, lengths, strict=True)):
            self.down.append(pair(widths[level - 1] if level else action_dim, width, length))
            if level < len(widths) - 1:
                self.shrink.append(LiveConv1d(width, width, kernel_size=3, length=length, stride=2))
        self.middle = pair(widths[-1], widths[-1], lengths[-1])
        self.up = nn.ModuleList()
        self.grow = nn.ModuleList()
        for level in range(len(widths) - 1, 0, -1):
            self.up.append(pair(2 * widths[level], widths[level - 1], lengths[level]))
            self.grow.append(LiveUpsample1d(widths[level - 1], length=lengths[level]))
        last = {"kernel_size": kernel_size, "length": horizon, "groups": groups}
        self.final = ConvBlock(widths[0], widths[0], **last)
        self.project = LiveConv1d(widths[0], action_dim, kernel_size=1, length=horizon)

        residual = [m for m in self.modules() if isinstance(m, ResidualBlock)]
        self._film_sizes = [2 * block.out_channels for block in residual]
        self.film_time = nn.Linear(time_dim, sum(self._film_sizes), bias=False)
        self.film_condition = nn.Linear(condition_dim, sum(self._film_sizes))
        draw_as_one(self.film_time, self.film_condition)
        if velocity_head:
            self.velocity_head = nn.Sequential(
                ConvBlock(widths[0], widths[0], **last),
                LiveConv1d(widths[0], action_dim, kernel_size=1, length=horizon),
            )
        if scale_input:
            self.guidance = GuidanceEmbedding(time_dim, top_frequency=top_frequency)
            self.film_guidance = nn.Linear(time_dim, sum(self._film_sizes), bias=False)

    def prepare(self, condition: torch.Tensor) -> torch.Tensor:
        """(B, C) → the condition's share (B, F) of all FiLM scales and shifts."""
        return self.film_condition(nn.functional.mish(condition))

    def features(
        self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, prepared: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Returns u (B, Th, A) and the flattened output of every level but the last (B, D)."""
        x, hidden = self._trunk(z, r, t, prepared)
        return self.project(self.final(x)).transpose(1, 2), hidden

    def with_velocity(
        self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, prepared: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """Returns u, the velocity head's v, and hidden features, as in the base class."""
        if not hasattr(self, "velocity_head"):
            return super().with_velocity(z, r, t, prepared)
        x, hidden = self._trunk(z, r, t, prepared)
        u, v = self.project(self.final(x)), self.velocity_head(x)
        return u.transpose(1, 2), v.transpose(1, 2), hidden

    def guide(self, prepared: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        """(B, F), (B, 3) → (B, F): guidance has a share in every FiLM layer, as time has."""
        if not hasattr(self, "film_guidance"):
            return super().guide(prepared, guidance)
        return prepared + self.film_guidance(nn.functional.mish(self.guidance(guidance)))

    def _trunk(
        self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, prepared: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """What the heads see (B, C, Th), and the hidden features."""
        time = nn.functional.mish(self.time(r, t))
        films = iter((prepared + self.film_time(time)).split(self._film_sizes, dim=1))
        x = z.transpose(1, 2)  # (B, A, Th)
        skips = []
        for level, blocks in enumerate(self.down):
            x = blocks(x, films)
            skips.append(x)
            if level < len(self.shrink):
                x = self.shrink[level](x)
        hidden = [skip.flatten(1) for skip in skips[:-1]]
        x = self.middle(x, films)
        for blocks, grow in zip(self.up, self.grow, strict=True):
            x = grow(blocks(torch.cat([x, skips.pop()], dim=1), films))
        return x, hidden


def _check(horizon: int, widths: Sequence[int], kernel_size: int, groups: int) -> None:
    halvings = 2 ** (len(widths) - 1)
    if not widths or horizon < 1 or horizon % halvings:
        raise ConfigError(
            f"the horizon of a U-Net with {len(widths)} levels must be a multiple of {halvings}",
            received=horizon,
        )
    if kernel_size % 2 == 0:
        raise ConfigError("kernel_size must be odd", received=kernel_size)
    if any(width % groups for width in widths):
        raise ConfigError(f"every width must be a multiple of groups={groups}", received=widths)
