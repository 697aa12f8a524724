"""How layers that modulate features by time and condition begin."""

from __future__ import annotations

from torch import nn


def draw_as_one(*layers: nn.Linear) -> None:
    """Draws parallel layers, whose outputs are added, as PyTorch draws the one that they are.

    Args:
        layers: of the same number of outputs.

    Example:
        >>> time, condition = nn.Linear(3, 8, bias=False), nn.Linear(5, 8)
        >>> draw_as_one(time, condition)
        >>> bool(time.weight.abs().max() <= 8**-0.5)
        True
    """
    bound = sum(layer.in_features for layer in layers) ** -0.5
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.uniform_(parameter, -bound, bound)
