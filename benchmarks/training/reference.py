"""MP1's training step as its released code takes it, written out without any shortcut.

Padded convolutions, one FiLM layer a block on Mish(time ⊕ condition), every point of every frame
with graph, u and du/dt together by double backward with graph on all rows, float32, AdamW and EMA
parameter by parameter. Parameters have the names of the released code (LogSSim/MP1, 929d4dd), so
that its weights load as they are and both can be compared number for number.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from mfpolicy.types import Batch

OMEGA, DISPERSIVE_WEIGHT, CONSTANT = 2.0, 0.5, 1e-3


class Times(nn.Module):
    """Sines and cosines of a time in [0, 1], lowest frequency 10⁻⁴."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, time: torch.Tensor) -> torch.Tensor:
        half = self.dim // 2
        steps = torch.arange(half, device=time.device, dtype=time.dtype)
        angles = time[:, None] * torch.exp(steps * -(math.log(10000) / (half - 1)))
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


def _embedding(dim: int) -> nn.Sequential:
    return nn.Sequential(Times(dim), nn.Linear(dim, 4 * dim), nn.Mish(), nn.Linear(4 * dim, dim))


class ConvBlock(nn.Module):
    def __init__(self, before: int, after: int, kernel: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv1d(before, after, kernel, padding=kernel // 2),
            nn.GroupNorm(8, after),
            nn.Mish(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(x)


class Resample(nn.Module):
    """Halves or doubles the sequence; a module of its own for the parameters' names."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


class ResidualBlock(nn.Module):
    def __init__(self, before: int, after: int, condition: int, kernel: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            [ConvBlock(before, after, kernel), ConvBlock(after, after, kernel)]
        )
        self.cond_encoder = nn.Sequential(nn.Mish(), nn.Linear(condition, 2 * after))
        self.residual_conv = nn.Identity() if before == after else nn.Conv1d(before, after, 1)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        scale, shift = self.cond_encoder(condition)[:, :, None].chunk(2, dim=1)
        hidden = scale * self.blocks[0](x) + shift
        return self.blocks[1](hidden) + self.residual_conv(x)


class UNet(nn.Module):
    """MP1's U-Net; returns u (B, Th, A) and the flattened outputs of all levels but the last."""

    def __init__(
        self, action_dim: int, condition: int, widths: tuple[int, ...], kernel: int, time: int
    ) -> None:
        super().__init__()
        self.diffusion_step_encoder = _embedding(time)
        self.diffusion_step_encoder_rs = _embedding(time)

        def block(before: int, after: int) -> ResidualBlock:
            return ResidualBlock(before, after, condition + time, kernel)

        dims, last = [action_dim, *widths], len(widths) - 1
        self.mid_modules = nn.ModuleList([block(dims[-1], dims[-1]) for _ in range(2)])
        self.down_modules = nn.ModuleList()
        for level, width in enumerate(widths):
            shrink = Resample(nn.Conv1d(width, width, 3, 2, 1)) if level < last else nn.Identity()
            pair = [block(dims[level], width), block(width, width)]
            self.down_modules.append(nn.ModuleList([*pair, shrink]))
        self.up_modules = nn.ModuleList()
        for level in range(last, 0, -1):
            width = widths[level - 1]
            grow = Resample(nn.ConvTranspose1d(width, width, 4, 2, 1))
            pair = [block(2 * widths[level], width), block(width, width)]
            self.up_modules.append(nn.ModuleList([*pair, grow]))
        self.final_conv = nn.Sequential(
            ConvBlock(widths[0], widths[0], kernel), nn.Conv1d(widths[0], action_dim, 1)
        )

    def forward(
        self, z: torch.Tensor, t: torch.Tensor, r: torch.Tensor, condition: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        time = self.diffusion_step_encoder(t) + self.diffusion_step_encoder_rs(r)
        feature = torch.cat([time, condition], dim=-1)
        x, skips = z.transpose(1, 2), []
        for first, second, shrink in self.down_modules:  # type: ignore[misc]
            x = second(first(x, feature), feature)
            skips.append(x)
            x = shrink(x)
        hidden = torch.cat([skip.flatten(1) for skip in skips[:-1]], dim=1)
        for block in self.mid_modules:
            x = block(x, feature)
        for first, second, grow in self.up_modules:  # type: ignore[misc]
            x = torch.cat([x, skips.pop()], dim=1)
            x = grow(second(first(x, feature), feature))
        return self.final_conv(x).transpose(1, 2), hidden


class CloudEncoder(nn.Module):
    def __init__(self, output: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, 64), (64, 128), (128, 256)):
            layers += [nn.Linear(before, after), nn.LayerNorm(after), nn.ReLU()]
        self.mlp = nn.Sequential(*layers)
        self.final_projection = nn.Sequential(nn.Linear(256, output), nn.LayerNorm(output))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.final_projection(torch.max(self.mlp(points), 1)[0])


class ObsEncoder(nn.Module):
    def __init__(self, state_dim: int, output: int) -> None:
        super().__init__()
        self.extractor = CloudEncoder(output)
        self.state_mlp = nn.Sequential(nn.Linear(state_dim, 64), nn.ReLU(), nn.Linear(64, 64))

    def forward(self, points: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.extractor(points), self.state_mlp(state)], dim=-1)


class ReferencePolicy(nn.Module):
    """Encoder, network and loss of MP1.

    Args:
        state_dim: S. action_dim: A.
        widths: channels per level.
        n_obs_steps: To.
    """

    def __init__(
        self, *, state_dim: int, action_dim: int, widths: tuple[int, ...], n_obs_steps: int = 2
    ) -> None:
        super().__init__()
        self.widths = widths
        self.obs_encoder = ObsEncoder(state_dim, 64)
        self.model = UNet(action_dim, n_obs_steps * 128, widths, kernel=5, time=128)

    def loss(self, batch: Batch, e: torch.Tensor, r: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """The loss of a normalised batch at noise e (B, Th, A) and intervals r, t (B,)."""
        rows = len(batch.action)
        features = self.obs_encoder(batch.point_cloud.flatten(0, 1), batch.agent_pos.flatten(0, 1))
        condition = features.reshape(rows, -1)
        x, t_, r_ = batch.action, t[:, None, None], r[:, None, None]
        z, v = (1 - t_) * x + t_ * e, e - x
        with torch.no_grad():
            instantaneous, _ = self.model(z, t, t, condition)
        guided = OMEGA * v + (1 - OMEGA) * instantaneous
        (u, hidden), (dudt, _) = torch.autograd.functional.jvp(
            lambda z, t, r: self.model(z, t, r, condition),
            (z, t, r),
            (guided, torch.ones_like(t), torch.zeros_like(r)),
            create_graph=True,
        )
        error = u - (guided - (t_ - r_) * dudt).detach()
        squares = (error**2).mean(dim=(1, 2))
        fit = ((1 / (squares + CONSTANT).sqrt()).detach() * squares).mean()
        sizes = [width * (x.shape[1] >> level) for level, width in enumerate(self.widths[:-1])]
        return fit + DISPERSIVE_WEIGHT * sum(_dispersive(h) for h in hidden.split(sizes, dim=1))


def _dispersive(hidden: torch.Tensor) -> torch.Tensor:
    distance = torch.cdist(hidden, hidden, p=2) ** 2
    return torch.exp(-distance / distance.max()).mean().log()


class Averages:
    """MP1's EMA: parameter after parameter."""

    def __init__(self, module: nn.Module) -> None:
        self.averaged = copy.deepcopy(module).requires_grad_(False)

    @torch.no_grad()
    def update(self, module: nn.Module, decay: float) -> None:
        for average, parameter in zip(self.averaged.parameters(), module.parameters(), strict=True):
            average.mul_(decay).add_(parameter, alpha=1 - decay)


def optimizer_of(module: nn.Module) -> torch.optim.Optimizer:
    """AdamW with MP1's options and PyTorch's default implementation."""
    return torch.optim.AdamW(module.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6)


def draw_times(rows: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """MP1's intervals (r, t), each (B,): two logit-normal draws; half of the rows have r = t."""
    draws = torch.sigmoid(torch.randn(rows, 2, generator=generator) - 0.4)
    r, t = draws.amin(dim=1), draws.amax(dim=1)
    equal = torch.randperm(rows, generator=generator)[: rows // 2]
    r[equal] = t[equal]
    return r, t
