"""Receding horizon: execute the first actions of a chunk, then decide anew."""

from __future__ import annotations

import numpy as np

from mfpolicy.deployment.chunking.executor import EXECUTIONS, ChunkExecutor
from mfpolicy.deployment.chunking.request import Request
from mfpolicy.errors import ConfigError
from mfpolicy.options import check_whole


@EXECUTIONS.register("receding_horizon")
class RecedingHorizon(ChunkExecutor):
    """Executes ``execute`` actions of each chunk (Chi et al. 2023, "Diffusion Policy").

    Synchronous, it asks when they are executed and holds until the answer is there.
    Asynchronous, it asks ``execute`` steps after it last asked, goes on with the old chunk
    meanwhile, as far as it reaches, and then cuts over to the new one at the step that is due.
    Without delay both are the same.

    Args:
        execute: n, actions of a chunk before the next decision, at most Ta; None takes all.
        asynchronous: decide while the old chunk is executed.
        in_flight: see :class:`ChunkExecutor`; more than 1 is for asynchronous execution alone.
        patience: see :class:`ChunkExecutor`.

    Raises:
        ConfigError: an option is out of range, or they do not go together.
    """

    def __init__(
        self,
        *,
        execute: int | None = None,
        asynchronous: bool = False,
        in_flight: int = 1,
        patience: int = 400,
    ) -> None:
        if execute is not None:
            check_whole("execute", execute, 1, 100_000)
        elif asynchronous:
            raise ConfigError(
                "asynchronous execution must be told after how many steps to decide anew",
                received=execute,
                remedy="set execute to about the delay in steps",
            )
        if in_flight > 1 and not asynchronous:
            raise ConfigError(
                "synchronous execution waits for each answer: in_flight must be 1",
                received=in_flight,
                remedy="set asynchronous=true",
            )
        self.execute, self.asynchronous = execute, asynchronous
        super().__init__(in_flight=in_flight, patience=patience)

    def _clear(self) -> None:
        self._first = 0  # the step that the chunk's first action is for
        self._chunk = np.zeros((0, 0), np.float32)  # (Ta, A)
        self._newest = -1  # number of the request that the chunk answers

    def _plan(self) -> np.ndarray:
        return self._chunk[self.step - self._first :]

    def _steps_to_request(self) -> int:
        left = len(self._plan())
        if not self.asynchronous:
            return left if not self._pending else self.execute or 1
        if self._last_asked is None or self.execute is None:
            return 0
        due = self._last_asked.step + self.execute - self.step
        return due if self._pending else min(due, left)

    def check(self, chunk_length: int) -> None:
        """Raises ConfigError where chunks of ``chunk_length`` actions, Ta, cannot be executed."""
        if self.execute is not None and self.execute > chunk_length:
            raise ConfigError(
                "execute must be at most the length of the policy's chunks, Ta",
                received=f"execute={self.execute}, Ta={chunk_length}",
                remedy="set a smaller execute, or a larger n_action_steps of the policy",
            )

    def _accept(self, request: Request, chunk: np.ndarray) -> bool:
        self.check(len(chunk))
        if request.number < self._newest:
            return False
        joined = self._joined(request, chunk)
        self._chunk = joined if self.asynchronous else joined[: self.execute]
        self._first, self._newest = request.step, request.number
        return True

    def _joined(self, request: Request, chunk: np.ndarray) -> np.ndarray:
        """What becomes of a new chunk (Ta, A) beside the plan that it takes the place of."""
        return chunk
