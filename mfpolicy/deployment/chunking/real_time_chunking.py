"""Real-time chunking: start the next chunk while this one executes, and keep them together."""

from __future__ import annotations

import dataclasses

import numpy as np

from mfpolicy.deployment.chunking.executor import EXECUTIONS, check_positive
from mfpolicy.deployment.chunking.receding_horizon import RecedingHorizon
from mfpolicy.deployment.chunking.request import Request
from mfpolicy.options import check_whole


def soft_mask(frozen: int, overlap: int) -> np.ndarray:
    """(K,) weights of agreement with each action of an old plan of K = ``overlap`` actions.

    1 for the first d = ``frozen`` actions, which will be executed whatever the new chunk says;
    then c_i (e^{c_i} − 1) / (e − 1) with c_i = (K − i) / (K − d + 1), which falls towards 0 where
    the old plan ends (Black et al. 2025, "Real-Time Execution of Action Chunking Flow Policies",
    arXiv 2506.07339, the equation of W).

    Example:
        >>> soft_mask(2, 4).round(2).tolist()
        [1.0, 1.0, 0.37, 0.08]
    """
    index = np.arange(overlap)
    c = np.clip((overlap - index) / (overlap - frozen + 1), 0, 1)
    return np.where(index < frozen, 1.0, c * np.expm1(c) / np.expm1(1.0))


@EXECUTIONS.register("real_time_chunking")
class RealTimeChunking(RecedingHorizon):
    """Asynchronous execution whose chunks agree where they overlap (Black et al. 2025, RTC).

    A request comes ``execute`` steps after the last, with the plan that will be executed
    meanwhile. RTC guides each denoising step towards the plan; a one-step policy has none to
    guide. In their place, the request asks for the chunk that agrees best with the plan, in the
    squares weighted by :func:`soft_mask`, of ``candidates`` evaluated in one batch (the backward
    coherence of Liu et al. 2024, "Bidirectional Decoding"), or for ``corrections`` gradient steps
    on its noise, and at the join the rest is made continuous by mixing: action i becomes
    w_i old + (1 − w_i) new with the same weights, from the number of steps that have really been
    executed. Where both chunks say the same, so does the mixture.

    Args:
        execute: s, steps between requests. The plan lasts if s + delay ≤ Ta and delay ≤ s.
        candidates: N, 1 chooses none.
        corrections: gradient steps on the noise.
        correction_rate: η of the first, on half the squares in normalised actions; halved where
            it leads too far.
        blend: mix the chunks where they overlap; without it the new one cuts in.
        initial_delay: steps that a decision is taken to last before one was measured.
        delay_memory: the largest of so many measured delays is expected next.
        in_flight, patience: see :class:`ChunkExecutor`.

    Raises:
        ConfigError: an option is out of range.
    """

    def __init__(
        self,
        *,
        execute: int = 8,
        candidates: int = 16,
        corrections: int = 0,
        correction_rate: float = 5.0,
        blend: bool = True,
        initial_delay: int = 0,
        delay_memory: int = 10,
        in_flight: int = 1,
        patience: int = 400,
    ) -> None:
        check_whole("candidates", candidates, 1, 100_000)
        check_whole("corrections", corrections, 0, 1000)
        check_positive("correction_rate", correction_rate)
        check_whole("initial_delay", initial_delay, 0, 100_000)
        check_whole("delay_memory", delay_memory, 1, 100_000)
        self.candidates, self.corrections = candidates, corrections
        self.correction_rate, self.blend = correction_rate, blend
        self.initial_delay, self.delay_memory = initial_delay, delay_memory
        super().__init__(execute=execute, asynchronous=True, in_flight=in_flight, patience=patience)

    @property
    def expected_delay(self) -> int:
        """Steps that the answer to the next request is expected to take."""
        return max(self._delays[-self.delay_memory :], default=self.initial_delay)

    def _steer(self, request: Request) -> Request:
        overlap = len(request.plan)
        return dataclasses.replace(
            request,
            weights=soft_mask(min(self.expected_delay, overlap), overlap),
            candidates=self.candidates,
            corrections=self.corrections,
            correction_rate=self.correction_rate,
        )

    def _joined(self, request: Request, chunk: np.ndarray) -> np.ndarray:
        start = self.step - request.step
        old = self._plan()[: len(chunk) - start]
        if not self.blend or not len(old):
            return chunk
        weights = soft_mask(0, len(old)).astype(np.float32)[:, None]
        new = chunk[start : start + len(old)]
        # as a deviation from the new: where old and new agree nothing changes, not by rounding
        return np.concatenate(
            [chunk[:start], new + weights * (old - new), chunk[start + len(old) :]]
        )
