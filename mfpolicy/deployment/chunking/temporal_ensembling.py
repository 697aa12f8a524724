"""Temporal ensembling: average what several chunks say about the same step."""

from __future__ import annotations

import numpy as np

from mfpolicy.deployment.chunking.executor import EXECUTIONS, ChunkExecutor, check_positive
from mfpolicy.deployment.chunking.request import Request
from mfpolicy.options import check_whole


def ensemble_weights(count: int, decay: float) -> np.ndarray:
    """(count,) weights of predictions for one step, oldest first: exp(−m i), summing to 1.

    Example:
        >>> ensemble_weights(2, 0.0).tolist()
        [0.5, 0.5]
    """
    weights = np.exp(-decay * np.arange(count))
    return weights / weights.sum()


@EXECUTIONS.register("temporal_ensembling")
class TemporalEnsembling(ChunkExecutor):
    """Decides every tick and executes a weighted mean of all chunks that reach the step.

    The weights are w_i = exp(−m i), w_0 that of the oldest chunk, so that a smaller m takes new
    observations up faster (Zhao et al. 2023, "Learning Fine-Grained Bimanual Manipulation with
    Low-Cost Hardware", ACT). The mean of two modes may be neither.

    Args:
        decay: m.
        every: steps between requests.
        in_flight: see :class:`ChunkExecutor`. With one, a delay of d ticks leaves a decision
            every d ticks.
        patience: see :class:`ChunkExecutor`.

    Raises:
        ConfigError: an option is out of range.
    """

    def __init__(
        self,
        *,
        decay: float = 0.01,
        every: int = 1,
        in_flight: int = 1,
        patience: int = 400,
    ) -> None:
        if decay != 0:
            check_positive("decay", decay)
        check_whole("every", every, 1, 100_000)
        self.decay, self.every = decay, every
        super().__init__(in_flight=in_flight, patience=patience)

    def _clear(self) -> None:
        self._chunks: list[tuple[int, np.ndarray]] = []  # (first step, (Ta, A)), oldest first

    def _steps_to_request(self) -> int:
        if self._last_asked is None:
            return 0
        due = self._last_asked.step + self.every - self.step
        return due if self._pending else min(due, self._reach() - self.step)

    def _reach(self) -> int:
        """The first step that no chunk reaches."""
        return max((first + len(chunk) for first, chunk in self._chunks), default=self.step)

    def _accept(self, request: Request, chunk: np.ndarray) -> bool:
        kept = [(first, old) for first, old in self._chunks if first + len(old) > self.step]
        self._chunks = sorted([*kept, (request.step, chunk)], key=lambda entry: entry[0])
        return True

    def _plan(self) -> np.ndarray:
        steps = range(self.step, self._reach())
        return np.array([self._mean(step) for step in steps], dtype=np.float32)

    def _next(self) -> np.ndarray | None:
        return self._mean(self.step) if self._reach() > self.step else None

    def _mean(self, step: int) -> np.ndarray:
        """(A,), the weighted mean of what the chunks say about ``step``."""
        said = [c[step - first] for first, c in self._chunks if first <= step < first + len(c)]
        oldest = said[0]
        # as deviations from the oldest: predictions that agree come back bit for bit
        deviations = np.array(said, dtype=np.float64) - oldest
        return (oldest + ensemble_weights(len(said), self.decay) @ deviations).astype(np.float32)
