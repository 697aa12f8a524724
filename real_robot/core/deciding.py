"""Who computes a decision: the caller, or a thread beside it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mfpolicy.deployment.chunking import Request

Decide = Callable[[Mapping[str, NDArray[np.float32]]], NDArray[np.floating]]
"""point_cloud (1, To, P, C) and agent_pos (1, To, S) → actions (1, Ta, A)."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What became of a request.

    Attributes:
        request: that it answers. step: executed actions when its observation was made.
        actions: (Ta, A), None where the policy failed. error: why.
        took_s: the decision.
    """

    request: Request
    step: int
    actions: NDArray[np.floating] | None
    error: str
    took_s: float


class Decider(Protocol):
    """Computes decisions."""

    @property
    def is_busy(self) -> bool:
        """Whether one is being computed."""
        ...

    def submit(
        self, request: Request, step: int, observation: Mapping[str, NDArray[np.float32]]
    ) -> None:
        """Asks for a decision; not while busy."""
        ...

    def answers(self) -> list[Answer]:
        """What has been decided since the last call."""
        ...

    def close(self) -> None:
        """Ends it."""
        ...


class InlineDecider:
    """Computes each decision when it is asked for.

    Args:
        decide: the policy.
    """

    is_busy = False

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self._answers: list[Answer] = []

    def submit(
        self, request: Request, step: int, observation: Mapping[str, NDArray[np.float32]]
    ) -> None:
        """Decides."""
        self._answers.append(answer(self._decide, request, step, observation))

    def answers(self) -> list[Answer]:
        """What has been decided since the last call."""
        done, self._answers = self._answers, []
        return done

    def close(self) -> None:
        """Nothing is to be ended."""


class ThreadDecider:
    """Computes decisions in a thread, so that ticks go on meanwhile.

    Args:
        decide: the policy; only that thread calls it.
        wait_s: that a tick waits for an answer to what it has just asked for.
    """

    def __init__(self, decide: Decide, *, wait_s: float = 0.0) -> None:
        self._decide, self._wait_s = decide, wait_s
        self._asked: queue.Queue = queue.Queue()
        self._answered: queue.Queue[Answer] = queue.Queue()
        self._waiting = 0
        self._fresh = False
        self._thread = threading.Thread(target=self._work, name="policy", daemon=True)
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether a decision is being computed."""
        return self._waiting > 0

    def submit(
        self, request: Request, step: int, observation: Mapping[str, NDArray[np.float32]]
    ) -> None:
        """Hands the request to the thread."""
        self._waiting, self._fresh = self._waiting + 1, True
        self._asked.put((request, step, observation))

    def answers(self) -> list[Answer]:
        """What has been decided since the last call."""
        wait_s, self._fresh = (self._wait_s if self._fresh else 0.0), False
        done: list[Answer] = []
        try:
            while self._waiting:
                wait = wait_s > 0 and not done
                done.append(self._answered.get(block=wait, timeout=wait_s if wait else None))
                self._waiting -= 1
        except queue.Empty:
            pass
        return done

    def close(self, timeout_s: float = 1.0) -> None:
        """Lets the thread end, after the decision that it computes."""
        self._asked.put(None)
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            self._answered.put(answer(self._decide, *asked))


def answer(
    decide: Decide, request: Request, step: int, observation: Mapping[str, NDArray[np.float32]]
) -> Answer:
    """Computes the answer to a request; a policy that fails must not end the controller."""
    begun_s = time.perf_counter()
    try:
        actions, error = np.asarray(decide(observation))[0], ""
    except Exception as failure:
        actions, error = None, f"{type(failure).__name__}: {failure}"
    return Answer(request, step, actions, error, time.perf_counter() - begun_s)
