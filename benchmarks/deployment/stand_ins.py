"""Stand-ins for what the released codes import, where it is not installed.

Of ``einops``, ``termcolor`` and ``diffusers`` only what predicting an action calls; modules that
are imported and never called are empty. ``DDIMScheduler`` is diffusers 0.11.1's as DP3 configures
it (squared-cosine levels, network predicts the sample), written from its published formulas.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import nn


def rearrange(x: torch.Tensor, pattern: str) -> torch.Tensor:
    """Swaps axes, or adds a last one of size 1."""
    before, after = (side.split() for side in pattern.split("->"))
    if after == [*before, "1"]:
        return x.unsqueeze(-1)
    return x.permute([before.index(name) for name in after])


class Rearrange(nn.Module):
    def __init__(self, pattern: str) -> None:
        super().__init__()
        self.pattern = pattern

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return rearrange(x, self.pattern)


class DDIMScheduler:
    def __init__(self, **options: Any) -> None:
        self.config = SimpleNamespace(**options)
        count = self.config.num_train_timesteps
        assert options["beta_schedule"] == "squaredcos_cap_v2"
        assert options["prediction_type"] == "sample"

        def level(i: int) -> float:
            return math.cos((i / count + 0.008) / 1.008 * math.pi / 2) ** 2

        betas = [min(1 - level(i + 1) / level(i), 0.999) for i in range(count)]
        self.alphas_cumprod = torch.cumprod(1 - torch.tensor(betas, dtype=torch.float32), dim=0)
        self.timesteps = torch.arange(count).flip(0)

    def set_timesteps(self, steps: int) -> None:
        self.stride = self.config.num_train_timesteps // steps
        self.timesteps = (torch.arange(steps) * self.stride).flip(0)

    def step(self, output: torch.Tensor, timestep: Any, sample: torch.Tensor) -> Any:
        """At zero eta, with what 0.11.1 takes for the noise of a network that predicts x."""
        before = int(timestep) - self.stride
        alpha = self.alphas_cumprod[before] if before >= 0 else torch.tensor(1.0)
        clean = output.clamp(-1, 1) if self.config.clip_sample else output
        direction = (1 - alpha) ** 0.5 * output
        return SimpleNamespace(prev_sample=alpha**0.5 * clean + direction)


def provide() -> None:
    """Makes every module importable that is missing."""
    _missing("termcolor", cprint=lambda *_, **__: None)
    _missing("einops", rearrange=rearrange, reduce=None)
    _missing("einops.layers")
    _missing("einops.layers.torch", Rearrange=Rearrange)
    _missing("diffusers")
    _missing("diffusers.schedulers")
    _missing("diffusers.schedulers.scheduling_ddpm", DDPMScheduler=DDIMScheduler)
    _missing("diffusers.schedulers.scheduling_ddim", DDIMScheduler=DDIMScheduler)
    _missing("pytorch3d")
    _missing("pytorch3d.ops")
    _missing("torchvision")


def _missing(name: str, **content: Any) -> None:
    top = name.partition(".")[0]
    if name in sys.modules or (top not in sys.modules and importlib.util.find_spec(top)):
        return
    module = ModuleType(name)
    module.__dict__.update(content)
    module.__path__ = []  # type: ignore[attr-defined]
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
