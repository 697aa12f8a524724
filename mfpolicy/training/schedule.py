"""Learning rate and EMA decay as functions of the step."""

from __future__ import annotations

import math


def learning_rate_factor(step: int, *, steps: float, warmup_steps: int) -> float:
    """Linear warm-up, then half a cosine to zero: the factor at ``step`` in [0, steps).

    Example:
        >>> [round(learning_rate_factor(s, steps=10, warmup_steps=2), 2) for s in (0, 1, 2, 6, 9)]
        [0.5, 1.0, 1.0, 0.5, 0.04]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def ema_decay(step: int, *, power: float, max_decay: float, share: float | None = None) -> float:
    """EMA decay after ``step`` optimizer steps.

    With ``share`` s the decay is 1 − 1 / (1 + s · step): the average reaches back over this share
    of the steps so far, so its horizon follows the budget, whatever its length (the power-function
    profile of Karras et al. 2024, EDM2). Without, it is 1 − (1 + step)^−power, at most
    ``max_decay``; DP3 takes the power ¾, whose horizon is step^¾.

    Example:
        >>> round(1 / (1 - ema_decay(1000, power=0.75, max_decay=0.9999, share=0.1)))
        101
    """
    decay = 1 - 1 / (1 + share * step) if share is not None else 1 - (1 + step) ** -power
    return min(max_decay, decay)
