"""How far a run is, and when it ends: by steps, or by wall-clock time."""

from __future__ import annotations

import math
import time

from mfpolicy.config.budget import parse_budget
from mfpolicy.config.schema import TrainConfig


class Progress:
    """Turns the budget into an end, and each step into the share of training that is done.

    Under a budget in steps or epochs everything is a function of the step alone, and a run repeats
    bit for bit. Under a budget in time the schedule follows the clock: the learning rate reaches
    zero when the time is up, on whatever machine.

    Args:
        config: its ``budget``, or else ``training.steps``.
        windows: windows of the data, the length of an epoch.

    Attributes:
        steps: optimizer steps of the run; None under a budget in time.
        limit_s: seconds of the run; None under a budget in steps.
    """

    def __init__(self, config: TrainConfig, *, windows: int) -> None:
        budget = parse_budget(config.budget) if config.budget is not None else None
        self.limit_s = budget.seconds if budget is not None else None
        self.steps: int | None = config.training.steps
        if budget is not None:
            self.steps = budget.steps
        if budget is not None and budget.epochs is not None:
            self.steps = math.ceil(budget.epochs * windows / config.training.batch_size)
        self._before_s = 0.0
        self._started: float | None = None

    def start(self) -> None:
        """Starts the clock; time spent by earlier calls counts."""
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall-clock time of training so far, over all resumes."""
        running = time.monotonic() - self._started if self._started is not None else 0.0
        return self._before_s + running

    def resume_at(self, seconds: float) -> None:
        """Takes up the clock of the run that is resumed."""
        self._before_s = seconds

    def total_steps(self, step: int, seconds: float) -> float:
        """Returns how many steps the run will have had when it ends.

        Under a budget in time this is what the pace so far leads to; more than ``step`` always.
        """
        if self.steps is not None:
            return self.steps
        assert self.limit_s is not None
        return max(step + 1.0, step * self.limit_s / max(seconds, 1e-3)) if step else math.inf

    def is_over(self, step: int, seconds: float) -> bool:
        """Whether the budget is spent."""
        if self.steps is not None:
            return step >= self.steps
        assert self.limit_s is not None
        return seconds >= self.limit_s
