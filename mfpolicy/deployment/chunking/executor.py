"""The part of chunk execution that all strategies share, driven by control ticks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mfpolicy.deployment.chunking.request import Request
from mfpolicy.errors import ActionError, ConfigError
from mfpolicy.options import check_whole
from mfpolicy.registry import Registry

EXECUTIONS: Registry[ChunkExecutor] = Registry("execution")
"""Executors by name."""

MOST_TICKS = 1_000_000


@dataclass(frozen=True)
class Counts:
    """What happened since the reset.

    Attributes:
        ticks: control ticks, each an action or a hold. holds: ticks with nothing to execute.
        requests: decisions asked for. used: answers that entered the plan.
        late: answers all of whose actions were past. superseded: answers that came after the
            answer to a newer request. stale: answers from before the reset, answers given twice,
            and answers to requests that were given up.
        lost: requests given up, because :meth:`ChunkExecutor.lose` was told so or patience ended.
    """

    ticks: int = 0
    holds: int = 0
    requests: int = 0
    used: int = 0
    late: int = 0
    superseded: int = 0
    stale: int = 0
    lost: int = 0


class ChunkExecutor:
    """Turns chunks into one action a control tick, whenever the chunks arrive.

    At each tick, in this order: :meth:`deliver` the answers that have arrived, ask
    :meth:`request` whether a decision on the present observation is wanted (and deliver it, if it
    is there at once), and send what :meth:`act` gives. A *step* is an executed action: a tick
    without one is a hold, during which the robot stands still and the plan's time with it. So an
    action planned for step k is executed as the k-th action or not at all, and delays are counted
    in steps. A delay is the number of ticks between a request and its answer; ticks with holds are
    part of it, and the answer to the first request of an episode, whose delay loads and compiles,
    is no measurement.

    Args:
        in_flight: most requests that may wait for an answer at once. One is what a policy can do
            that computes all the while; more are for delays of the network.
        patience: ticks after which an unanswered request is given up as lost.

    Attributes:
        counts: see :class:`Counts`.
        step: actions executed since the reset.

    Raises:
        ConfigError: an option is out of range.
    """

    def __init__(self, *, in_flight: int = 1, patience: int = 400) -> None:
        check_whole("in_flight", in_flight, 1, 1000)
        check_whole("patience", patience, 1, MOST_TICKS)
        self.in_flight, self.patience = in_flight, patience
        self._episode = -1
        self._action_dim: int | None = None
        self.reset()

    def reset(self) -> None:
        """Starts an episode: forgets plan, requests, delays and counts."""
        self._episode += 1
        self._pending: dict[int, Request] = {}
        self._last: np.ndarray | None = None
        self._last_asked: Request | None = None
        self._delays: list[int] = []
        self.counts = Counts()
        self.step = 0
        self._clear()

    @property
    def ticks_to_request(self) -> int:
        """Ticks during which :meth:`request` will ask for nothing; 0 where it may now.

        What the policy sees at a request must be observed by then: with To observed frames, those
        of ticks at which this is below To. It holds unless :meth:`lose` is called meanwhile.
        """
        bound = max(0, self._steps_to_request())
        if not self._pending:
            return bound
        oldest = min(request.tick for request in self._pending.values())
        return max(0, min(bound, oldest + self.patience - self.counts.ticks))

    @property
    def plan(self) -> np.ndarray:
        """(K, A) float32, what :meth:`act` will give at the next ticks unless an answer comes."""
        return self._plan().copy()

    def request(self) -> Request | None:
        """Asks for a decision on the present observation, at most once a tick; None for none."""
        for request in list(self._pending.values()):
            if self.counts.ticks - request.tick >= self.patience:
                self.lose(request)
        asked = self._last_asked is not None and self._last_asked.tick == self.counts.ticks
        if asked or len(self._pending) >= self.in_flight or self._steps_to_request() > 0:
            return None
        plan = self._plan()
        plain = Request(
            episode=self._episode,
            number=self.counts.requests,
            tick=self.counts.ticks,
            step=self.step,
            plan=plan,
            last=self._last,
        )
        request = self._steer(plain) if len(plan) else plain
        self._pending[request.number] = self._last_asked = request
        self._count(requests=1)
        return request

    def deliver(self, request: Request, actions: np.ndarray) -> bool:
        """Hands in the answer to ``request``; says whether it entered the plan.

        Args:
            request: what :meth:`request` gave.
            actions: (Ta, A), for steps ``request.step`` on.

        Raises:
            ActionError: the answer is not finite, or of another shape than answers before it.
        """
        if request.episode != self._episode or request.number not in self._pending:
            self._count(stale=1)
            return False
        del self._pending[request.number]
        chunk = self._checked(actions)
        if request.number > 0:
            self._delays.append(self.counts.ticks - request.tick)
        if request.step + len(chunk) <= self.step:
            self._count(late=1)
            return False
        if not self._accept(request, chunk):
            self._count(superseded=1)
            return False
        self._count(used=1)
        return True

    def lose(self, request: Request) -> None:
        """Says that ``request`` will get no answer, so that another may be asked for."""
        if request.episode == self._episode and self._pending.pop(request.number, None):
            self._last_asked = None
            self._count(lost=1)

    def act(self) -> np.ndarray | None:
        """The action (A,) float32 of this tick, and the tick is over.

        None is a hold: nothing is planned, and the controller keeps the robot where it is.
        """
        action = self._next()
        self._count(ticks=1, holds=int(action is None))
        if action is not None:
            self._last = action.copy()
            self.step += 1
        return action

    def _count(self, **more: int) -> None:
        summed = {name: getattr(self.counts, name) + value for name, value in more.items()}
        self.counts = replace(self.counts, **summed)

    def _checked(self, actions: np.ndarray) -> np.ndarray:
        chunk = np.array(actions, dtype=np.float32)
        wanted = "A" if self._action_dim is None else str(self._action_dim)
        fits = chunk.ndim == 2 and chunk.shape[0] and chunk.shape[1]
        if not fits or self._action_dim not in (None, chunk.shape[1]):
            raise ActionError(f"an answer must have the shape (Ta, {wanted})", received=chunk.shape)
        if not np.isfinite(chunk).all():
            raise ActionError(
                "every action of an answer must be finite",
                received=f"{int((~np.isfinite(chunk)).sum())} NaN or infinite values",
                remedy="hold the robot, and look at the observation that the policy was given",
            )
        self._action_dim = chunk.shape[1]
        return chunk

    # What a strategy says.

    def check(self, chunk_length: int) -> None:
        """Raises ConfigError where chunks of ``chunk_length`` actions, Ta, cannot be executed."""

    def _clear(self) -> None:
        """Forgets the plan."""
        raise NotImplementedError(f"{type(self).__name__} must implement _clear()")

    def _steps_to_request(self) -> int:
        """Steps until a request is due, at least."""
        raise NotImplementedError(f"{type(self).__name__} must implement _steps_to_request()")

    def _plan(self) -> np.ndarray:
        """(K, A), the actions from step ``self.step`` on, as far as there are any."""
        raise NotImplementedError(f"{type(self).__name__} must implement _plan()")

    def _accept(self, request: Request, chunk: np.ndarray) -> bool:
        """Takes a chunk with future actions into the plan; False where a newer one is there."""
        raise NotImplementedError(f"{type(self).__name__} must implement _accept()")

    def _next(self) -> np.ndarray | None:
        """The action of step ``self.step``, None where there is none."""
        plan = self._plan()
        return plan[0].copy() if len(plan) else None

    def _steer(self, request: Request) -> Request:
        """Adds to a request what the decision should agree with."""
        return request


def check_positive(name: str, value: float) -> None:
    """Raises ConfigError unless ``value`` is positive and finite."""
    if not 0 < value < float("inf"):
        raise ConfigError(f"{name} must be above 0 and finite", received=value)
