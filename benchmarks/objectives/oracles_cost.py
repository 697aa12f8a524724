"""What a training step costs beside flow matching's: time, and peak of allocated memory."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.objectives.oracles_training import conditioned
from mfpolicy import networks
from mfpolicy.networks import Network
from mfpolicy.objectives import Objective

Step = Callable[[], None]

ROUNDS, WIDTHS, BATCH, CONDITION = 5, (128, 256, 256), 128, 256
"""Of the U-Net of mp1_small, its batch and the size of its condition."""


class Costs:
    """Steps of one network on one batch, each timed in turn with flow matching's."""

    def __init__(self, baseline: Objective) -> None:
        torch.manual_seed(0)
        sizes = {"action_dim": 4, "horizon": 4, "condition_dim": CONDITION}
        self.network, self.beside = (
            networks.build("unet1d", widths=WIDTHS, **sizes) for _ in range(2)
        )
        self.beside.requires_grad_(False)
        self.condition = torch.randn(BATCH, CONDITION)
        self.actions = torch.rand(BATCH, 4, 4) * 2 - 1
        self.baseline = self._step(baseline)

    def measure(self, objective: Objective, *, rounds: int = ROUNDS) -> dict[str, float]:
        """Median of the ratio of times of neighbouring steps, and ratio of peaks of memory."""
        step = self._step(objective)
        ratios = []
        for count in range(rounds + 1):
            seconds = [_seconds(self.baseline), _seconds(step)]
            if count:  # the first warms up
                ratios.append(seconds[1] / seconds[0])
        return {
            "time": statistics.median(ratios),
            "memory": peak_bytes(step) / peak_bytes(self.baseline),
        }

    def _step(self, objective: Objective) -> Step:
        """Loss and gradient of one batch, midway in training."""

        def step() -> None:
            objective.progress = 0.5
            shown: dict[str, Network] = {}
            if objective.needs_teacher:
                shown["teacher"] = self.beside
            if objective.needs_average:
                shown["average"] = self.beside
            velocity = conditioned(self.network, self.condition, **shown)
            objective.loss(velocity, self.actions, torch.Generator().manual_seed(0))[0].backward()
            self.network.zero_grad()

        return step


def peak_bytes(step: Step) -> int:
    """Peak of what PyTorch allocates during ``step`` beyond what it holds before.

    The profiler records every allocation and release of PyTorch's CPU allocator; their running sum
    is the memory in use. What libraries take behind its back is not in it.
    """
    step()
    gc.collect()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        step()
    results = profile.profiler.kineto_results  # type: ignore[union-attr]
    changes = [event for event in results.events() if event.name() == "[memory]"]
    used = peak = 0
    for event in sorted(changes, key=lambda event: event.start_ns()):
        used += event.nbytes()
        peak = max(peak, used)
    return peak


def _seconds(step: Step) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started
