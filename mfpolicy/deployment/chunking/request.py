"""What an executor asks of a policy: a decision, and how it should fit what is being executed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Request:
    """A decision that an executor wants on the newest observation.

    Step numbers count executed actions since the reset; while nothing is left to execute they
    stand still. The answer's first action is for step ``step``.

    Attributes:
        episode: which reset the executor has behind it.
        number: of the request within the episode.
        tick: control ticks since the reset, at which the observation was made.
        step: actions executed before it.
        plan: (K, A) float32, what will be executed at steps ``step``, ``step + 1``, … unless an
            answer changes it; empty where nothing is planned.
        last: (A,) float32, the action executed last; None before the first.
        weights: (K,) in [0, 1], how much the answer should agree with each action of the plan;
            None asks for no agreement.
        candidates: chunks to choose the most agreeing one from, N.
        corrections: gradient steps on the noise towards agreement.
        correction_rate: η of the first.
        warm_time: t in (0, 1] at which the plan is noised to start from it; None starts from
            noise alone.
    """

    episode: int
    number: int
    tick: int
    step: int
    plan: np.ndarray
    last: np.ndarray | None = None
    weights: np.ndarray | None = None
    candidates: int = 1
    corrections: int = 0
    correction_rate: float = 0.0
    warm_time: float | None = None

    @property
    def steered(self) -> bool:
        """Whether the decision is more than a plain one."""
        agrees = self.weights is not None and (self.candidates > 1 or self.corrections > 0)
        return agrees or self.warm_time is not None
