"""MLP-Mixer over the action chunk: steps mix with steps, channels with channels."""

from __future__ import annotations

import torch
from torch import nn

from mfpolicy.networks.base import NETWORKS
from mfpolicy.networks.modulated import Branch, ChannelBranch, ModulatedNetwork
from mfpolicy.options import check_whole


class StepBranch(Branch):
    """An MLP over the steps of every channel, the same for all channels."""

    def __init__(self, width: int, *, horizon: int, hidden: int) -> None:
        super().__init__(width)
        self.mlp = nn.Sequential(nn.Linear(horizon, hidden), nn.Mish(), nn.Linear(hidden, horizon))

    def forward(self, x: torch.Tensor, modulation: torch.Tensor) -> torch.Tensor:
        """(B, Th, W), (B, 3, 1, W) → (B, Th, W)."""
        mixed = self.mlp(self.into(x, modulation).transpose(1, 2)).transpose(1, 2)
        return self.onto(x, mixed, modulation)


@NETWORKS.register("mlp_mixer")
class MlpMixer(ModulatedNetwork):
    """Two branches a block under time and condition (:mod:`mfpolicy.networks.modulated`).

    For chunks of 4 to 16 steps mixing them costs next to nothing, and there is no attention, no
    convolution and no change of resolution: a few matrix products, at any horizon.

    Args:
        action_dim: A.
        horizon: Th.
        condition_dim: C.
        width: channels of a step.
        depth: blocks.
        step_hidden: hidden size of the MLP over steps.
        channel_hidden: hidden size of the MLP over channels, as a multiple of ``width``.
        time_dim: size of the interval embedding.
        top_frequency: highest frequency of the time embedding; large values diverge.
        velocity_head: a second last layer, which only :meth:`with_velocity` evaluates.
        scale_input: :meth:`guide` takes a guidance scale and its interval.

    Raises:
        ConfigError: a number is out of range.

    Example:
        >>> net = MlpMixer(action_dim=4, horizon=4, condition_dim=8)
        >>> z, time = torch.zeros(2, 4, 4), torch.ones(2)
        >>> net(z, 0 * time, time, net.prepare(torch.zeros(2, 8))).shape
        torch.Size([2, 4, 4])

    Source: Tolstikhin et al. 2021, "MLP-Mixer: An all-MLP Architecture for Vision".
    """

    def __init__(
        self,
        *,
        action_dim: int,
        horizon: int,
        condition_dim: int,
        width: int = 128,
        depth: int = 3,
        step_hidden: int = 32,
        channel_hidden: int = 4,
        time_dim: int = 128,
        top_frequency: float = 1.0,
        velocity_head: bool = False,
        scale_input: bool = False,
    ) -> None:
        check_whole("depth", depth, 1, 1024)
        super().__init__(
            action_dim=action_dim,
            horizon=horizon,
            condition_dim=condition_dim,
            width=width,
            branches=2 * depth,
            time_dim=time_dim,
            top_frequency=top_frequency,
            velocity_head=velocity_head,
            scale_input=scale_input,
        )
        steps = (StepBranch(width, horizon=horizon, hidden=step_hidden) for _ in range(depth))
        channels = (ChannelBranch(width, hidden=channel_hidden * width) for _ in range(depth))
        self.steps, self.channels = nn.ModuleList(steps), nn.ModuleList(channels)

    def blocks(
        self, x: torch.Tensor, modulation: torch.Tensor, prepared: torch.Tensor
    ) -> list[torch.Tensor]:
        """Returns the output of every block, (B, Th, W) each."""
        films = iter(modulation.unbind(dim=1))
        outputs = []
        for steps, channels in zip(self.steps, self.channels, strict=True):
            x = channels(steps(x, next(films)), next(films))
            outputs.append(x)
        return outputs
