"""How far samples are from the law they should have, condition by condition."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.objectives.oracles_data import Oracle

CONDITIONS, ROWS = 8, 1000

Sampler = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Conditions (B, 1) and noise (B, Th, A) -> chunks (B, Th, A)."""


def measure(
    oracle: Oracle, sampler: Sampler, *, rows: int = ROWS, seed: int = 0
) -> dict[str, float]:
    """Errors of a sampler, each the mean over a grid of conditions.

    - mean_error: root mean square error of the mean over the dimensions, in standard deviations
      of the data;
    - std_error: standard deviation over all dimensions relative to the data's, minus one;
    - energy_distance: 2 E|x - y| - E|x - x'| - E|y - y'| between samples x and data y, divided by
      E|y - y'|; without bias, so that it may come out below zero;
    - bridge (B): share of samples between the modes, more than a tenth of their distance from
      either; near (B): share within a tenth of that distance of a mode, over all dimensions;
    - upper_error (B): share in the upper half minus what it should be, absolute.
    """
    generator = torch.Generator().manual_seed(1000 + seed)
    one = grid(1)
    condition = grid(rows)
    noise = torch.randn(len(condition), oracle.horizon, oracle.action_dim, generator=generator)
    x = sampler(condition, noise)
    y = oracle.sample(condition, generator)
    per = x.view(CONDITIONS, rows, -1)  # (C, N, D)
    std = oracle.std(one)
    off = (per.mean(dim=1) - oracle.mean(one).flatten(1)) / std[:, None]
    spread = per.var(dim=1).mean(dim=1).sqrt() / std
    found = {
        "mean_error": float(off.square().mean().sqrt()),
        "std_error": float(spread.mean() - 1),
        "energy_distance": energy_distance(per, y.view_as(per)),
    }
    if oracle.two_modes:
        place = oracle.place(condition, x)
        upper = (place > 0).float() - oracle.share(condition)[:, 0, 0]
        found["bridge"] = float((place.abs() < 0.8).float().mean())
        found["near"] = float((oracle.distance(condition, x) < 0.2).float().mean())
        found["upper_error"] = float(upper.view(CONDITIONS, rows).mean(dim=1).abs().mean())
    return found


def energy_distance(x: torch.Tensor, y: torch.Tensor) -> float:
    """Relative energy distance of (C, N, D) to (C, N, D), mean over C."""
    between = torch.cdist(x, y).mean(dim=(1, 2))
    pairs = x.shape[1] * (x.shape[1] - 1)
    of_x, of_y = (torch.cdist(each, each).sum(dim=(1, 2)) / pairs for each in (x, y))
    return float(((2 * between - of_x - of_y) / of_y).mean())


def grid(rows: int) -> torch.Tensor:
    """Evenly spaced c within (-1, 1), each ``rows`` times in turn, (CONDITIONS rows, 1)."""
    c = (2 * torch.arange(CONDITIONS) + 1) / CONDITIONS - 1
    return c.repeat_interleave(rows)[:, None]
