"""Requests that wait together become one forward pass."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from mfpolicy.deployment.chunk_policy import ChunkPolicy, NoiseSource
from mfpolicy.deployment.server.messages import Request
from mfpolicy.errors import ActionError

log = logging.getLogger("mfpolicy.server")


@dataclass(frozen=True)
class Decision:
    """The actions (B, Ta, A) of a request, or what kept the policy from them, and timing.

    Attributes:
        actions: or the error.
        timing: queue_ms and inference_ms, batch_requests and batch_rows.
    """

    actions: np.ndarray | Exception
    timing: dict[str, float]


@dataclass(frozen=True)
class _Waiting:
    request: Request
    alive: Callable[[], bool]
    since: float
    decision: asyncio.Future[Decision | None]

    def tell(self, decision: Decision | None) -> None:
        if not self.decision.done():
            self.decision.set_result(decision)


class Batcher:
    """Computes requests in one worker thread, those that wait together in one batch.

    A batch starts as soon as every active client has a request in it, and ``window_s`` after its
    first request at the latest; so a lone client never waits. While a batch is computed, the next
    gathers.

    Args:
        policy: decides.
        max_rows: most rows of a batch.
        window_s: longest that a request waits for others.
        active: how many clients are asking.
    """

    def __init__(
        self, policy: ChunkPolicy, *, max_rows: int, window_s: float, active: Callable[[], int]
    ) -> None:
        self.batches = 0
        self._policy = policy
        self._noise = NoiseSource(policy.spec)
        self._max_rows = max_rows
        self._window_s = window_s
        self._active = active
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="policy")

    async def decide(self, request: Request, alive: Callable[[], bool]) -> Decision | None:
        """Returns the decision, or None if ``alive`` said no when the turn came."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(request, alive, loop.time(), loop.create_future())
        self._queue.append(waiting)
        self._arrived.set()
        return await waiting.decision

    async def run(self) -> None:
        """Computes batch after batch until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._gather()
            if not batch:
                continue
            started = loop.time()
            requests = [waiting.request for waiting in batch]
            results = await loop.run_in_executor(self._worker, self._compute, requests)
            self.batches += 1
            shared = {
                "inference_ms": (loop.time() - started) * 1e3,
                "batch_requests": len(batch),
                "batch_rows": _rows(batch),
            }
            for waiting, result in zip(batch, results, strict=True):
                timing = {"queue_ms": (started - waiting.since) * 1e3, **shared}
                waiting.tell(Decision(result, timing))

    def close(self) -> None:
        """Ends the worker thread."""
        self._worker.shutdown()

    async def _gather(self) -> list[_Waiting]:
        await self._some()
        batch: list[_Waiting] = []
        deadline = asyncio.get_running_loop().time() + self._window_s
        while self._queue or (len(batch) < self._active() and _rows(batch) < self._max_rows):
            if not self._queue:
                try:
                    async with asyncio.timeout_at(deadline):
                        await self._some()
                except TimeoutError:
                    break
            elif not self._queue[0].alive():
                self._queue.popleft().tell(None)
            elif batch and not self._fits(batch, self._queue[0]):
                break
            else:
                batch.append(self._queue.popleft())
        return batch

    async def _some(self) -> None:
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()

    def _fits(self, batch: Sequence[_Waiting], new: _Waiting) -> bool:
        rows = _rows(batch) + new.request.rows
        points = {item.request.observation["point_cloud"].shape[2] for item in (batch[0], new)}
        return rows <= self._max_rows and len(points) == 1

    def _compute(self, requests: Sequence[Request]) -> list[np.ndarray | Exception]:
        """Actions of each request; an error spares the others of its batch."""
        try:
            return self._forward(requests)
        except Exception as error:
            if len(requests) > 1:
                return [result for request in requests for result in self._compute([request])]
            log.exception("the policy failed on a request")
            return [error]

    def _forward(self, requests: Sequence[Request]) -> list[np.ndarray | Exception]:
        noise = [
            (self._noise.draw(r.rows, r.seed) if r.noise is None else r.noise)
            * np.float32(r.noise_scale)
            for r in requests
        ]
        fields = requests[0].observation
        stacked = {key: np.concatenate([r.observation[key] for r in requests]) for key in fields}
        start = np.concatenate(noise)  # (ΣB, Th, A)
        actions = self._policy(stacked, noise=start)  # (ΣB, Ta, A)
        if actions.ndim != 3 or len(actions) != len(start):
            raise RuntimeError(f"actions {actions.shape} for {len(start)} observations")
        ends = np.cumsum([request.rows for request in requests])[:-1]
        return [_finite(part) for part in np.split(actions, ends)]


def _rows(batch: Sequence[_Waiting]) -> int:
    return sum(waiting.request.rows for waiting in batch)


def _finite(actions: np.ndarray) -> np.ndarray | Exception:
    if np.isfinite(actions).all():
        return actions
    return ActionError(
        "the policy's actions must be finite",
        received="NaN or infinite values",
        remedy="train again, or serve another run",
    )
