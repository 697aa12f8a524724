"""Exponential moving average of a module's parameters."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

M = TypeVar("M", bound=nn.Module)


class Ema:
    """Averages a module's parameters; buffers are taken as they are.

    Args:
        module: the module that is trained.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> ema = Ema(layer)
        >>> with torch.no_grad():
        ...     _ = layer.bias.add_(1.0)
        >>> ema.update(decay=0.5)
        >>> bool(torch.isclose(layer.bias - ema.state()["bias"], torch.tensor(0.5)))
        True
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.names = [name for name, _ in module.named_parameters()]
        self.parameters = [p.detach() for p in module.parameters()]
        self.averages = [p.clone() for p in self.parameters]

    @torch.no_grad()
    def update(self, *, decay: float) -> None:
        """Average ← decay · average + (1 − decay) · parameter."""
        get_ema_multi_avg_fn(decay)(self.averages, self.parameters, None)

    def averaged(self, module: M) -> M:
        """Returns a copy of the module whose parameters are the averages, now and later."""
        shown = copy.deepcopy(module)
        for average, parameter in zip(self.averages, shown.parameters(), strict=True):
            parameter.data = average
        return shown

    def state(self) -> dict[str, torch.Tensor]:
        """The module's state dict with averaged parameters."""
        return {**self.module.state_dict(), **dict(zip(self.names, self.averages, strict=True))}

    def load(self, averages: dict[str, torch.Tensor]) -> None:
        """Sets the averages from parameters by name."""
        for name, average in zip(self.names, self.averages, strict=True):
            average.copy_(averages[name])
