"""Warm start: the next chunk is made from the rest of this one, not from noise alone."""

from __future__ import annotations

import dataclasses

from mfpolicy.deployment.chunking.executor import EXECUTIONS
from mfpolicy.deployment.chunking.receding_horizon import RecedingHorizon
from mfpolicy.deployment.chunking.request import Request
from mfpolicy.errors import ConfigError


@EXECUTIONS.register("warm_start")
class WarmStart(RecedingHorizon):
    """Asynchronous execution; each chunk starts from the noised remainder of the one before.

    With y the old plan shifted to the new chunk's steps, its last action repeated beyond its end,
    the new chunk is x̂ = z_t − t u(z_t, 0, t) at z_t = (1 − t) y + t e: still one network
    evaluation. At t = 1 nothing of the old plan is left. Asks for an objective that has learnt u
    on intervals from 0 to any t; others refuse.

    Args:
        execute: steps between requests.
        time: t, in (0, 1].
        in_flight, patience: see :class:`ChunkExecutor`.

    Raises:
        ConfigError: an option is out of range.
    """

    def __init__(
        self, *, execute: int = 8, time: float = 0.7, in_flight: int = 1, patience: int = 400
    ) -> None:
        if not 0 < time <= 1:
            raise ConfigError("time must be in (0, 1]", received=time)
        self.time = time
        super().__init__(execute=execute, asynchronous=True, in_flight=in_flight, patience=patience)

    def _steer(self, request: Request) -> Request:
        return dataclasses.replace(request, warm_time=self.time)
