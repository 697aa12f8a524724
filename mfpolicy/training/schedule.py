"""Learning rate and EMA decay as functions of the step."""

from __future__ import annotations

import math


def learning_rate_factor(step: int, *, steps: int, warmup_steps: int) -> float:
    """Linear warm-up, then half a cosine to zero: the factor at ``step`` in [0, steps).

    Example:
        >>> [round(learning_rate_factor(s, steps=10, warmup_steps=2), 2) for s in (0, 1, 2, 6, 9)]
        [0.5, 1.0, 1.0, 0.5, 0.04]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * done))


def ema_decay(step: int, *, power: float, max_decay: float) -> float:
    """EMA decay 1 − (1 + step)^−power, at most ``max_decay`` (Karras et al. 2022; DP3 uses ¾).

    The average reaches back over a fixed share of the steps so far, whatever their number.
    """
    return min(max_decay, 1 - (1 + step) ** -power)
