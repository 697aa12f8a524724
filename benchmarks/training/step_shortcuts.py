"""The exact shortcuts of a training step, each with the plain form that it stands for.

``WITHOUT[name](policy)`` takes one shortcut out of a policy of ``mp1``'s kind, in place. Loss and
gradient stay (``tests/training/test_exact_step.py``); only the work grows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from mfpolicy.encoders import PointNet
from mfpolicy.networks.live_conv import LiveConv1d, LiveUpsample1d
from mfpolicy.objectives import MeanFlow
from mfpolicy.objectives.average_velocity import where_apart
from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.derivative import forward_derivative
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.policy import Policy

IN_MEMORY = "data in memory"
"""The one shortcut that is the dataset's: batches by index from memory, or streamed from disk."""


class PlainMeanFlow(MeanFlow):
    """MeanFlow whose du/dt is found without some of the shortcuts."""

    double_backward = False
    keep_graph = False
    every_row = False

    def target(
        self,
        velocity: Velocity,
        z: torch.Tensor,
        r: torch.Tensor,
        t: torch.Tensor,
        v: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        with torch.set_grad_enabled(self.keep_graph):
            if self.every_row:
                target = torch.where(per_row(r < t, v), self._rule(velocity, z, r, t, v), v)
            else:
                target = where_apart(self._rule, velocity, z, r, t, v)
        return target.detach()

    def _rule(self, velocity: Velocity, *rows: torch.Tensor) -> torch.Tensor:
        z, r, t, v = rows
        dudt: torch.Tensor
        if self.double_backward:
            _, dudt = torch.autograd.functional.jvp(
                lambda z, t: velocity(z, r, t),
                (z, t),
                (v, torch.ones_like(t)),
                create_graph=self.keep_graph,
            )  # type: ignore[assignment]
        else:
            dudt = forward_derivative(velocity, z, r, t, v)
        return v - per_row(t - r, z) * dudt


def _target_with(**flags: bool) -> Callable[[Policy], None]:
    def change(policy: Policy) -> None:
        if type(policy.objective) not in (MeanFlow, PlainMeanFlow):
            raise TypeError(f"only MeanFlow's target is known here: {type(policy.objective)}")
        policy.objective.__class__ = PlainMeanFlow
        vars(policy.objective).update(flags)

    return change


def _encode_every_point(policy: Policy) -> None:
    assert isinstance(policy.encoder.cloud, PointNet)
    policy.encoder.cloud.critical_points = False


def _encode_every_frame(policy: Policy) -> None:
    encoder: Any = policy.encoder
    encode = encoder.forward
    encoder.forward = lambda clouds, states, frame=None: encode(clouds, states)


def _condition_every_evaluation(policy: Policy) -> None:
    network: Any = policy.network
    prepare, features = network.prepare, network.features
    network.prepare = lambda condition: condition
    network.features = lambda z, r, t, condition: features(z, r, t, prepare(condition))


class PaddedConv1d(nn.Conv1d):
    """The full kernel; ``live`` are the taps that a LiveConv1d keeps."""

    live: slice


class PaddedUpsample1d(nn.ConvTranspose1d):
    """The full kernel; ``live`` are the taps that a LiveUpsample1d keeps."""

    live: slice


def _pad(policy: Policy) -> None:
    with torch.random.fork_rng(devices=[]):
        for parent in list(policy.network.modules()):
            for name, module in list(parent.named_children()):
                if isinstance(module, LiveConv1d | LiveUpsample1d):
                    setattr(parent, name, _padded(module))


@torch.no_grad()
def _padded(module: LiveConv1d | LiveUpsample1d) -> PaddedConv1d | PaddedUpsample1d:
    """The padded layer with the module's live weights, its dead ones drawn as PyTorch draws."""
    padded: PaddedConv1d | PaddedUpsample1d
    if isinstance(module, LiveUpsample1d):
        channels, first = len(module.weight), 1 if module.length == 1 else 0
        padded = PaddedUpsample1d(channels, channels, 4, stride=2, padding=1)
    else:
        after, before, _ = module.weight.shape
        size, first = module.kernel_size, module.first
        padded = PaddedConv1d(before, after, size, stride=module.stride, padding=size // 2)
    padded = padded.to(module.weight)
    padded.live = slice(first, first + module.weight.shape[2])
    padded.weight[:, :, padded.live] = module.weight
    assert padded.bias is not None
    padded.bias.copy_(module.bias)
    return padded


WITHOUT: dict[str, Callable[[Policy], None]] = {
    "live taps": _pad,
    "critical points": _encode_every_point,
    "unique frames": _encode_every_frame,
    "forward mode": _target_with(double_backward=True),
    "derivative without graph": _target_with(keep_graph=True),
    "derivative on r < t alone": _target_with(every_row=True),
    "condition once": _condition_every_evaluation,
}
