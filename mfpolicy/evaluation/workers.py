"""Worker processes that answer one item at a time, and a death of one that is never a hang.

Each worker is a ``spawn`` process (a forked OpenGL context or thread pool is undefined) with one
torch thread, so that workers do not fight for cores and a result does not depend on how a sum
was split among threads. Work is handed out item by item over a pipe; a closed pipe tells the
parent at once that a worker died, and the parent knows which item it had in hand.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from mfpolicy.errors import RunError, UserError

STOP_TIMEOUT_S = 10.0


class Service(Protocol):
    """What runs inside a worker.

    Attributes:
        facts: what the parent may know of it, picklable.
    """

    facts: dict[str, Any]

    def run(self, item: Any) -> Any:
        """Answers one item."""
        ...

    def close(self) -> None:
        """Frees what the service holds."""
        ...


class WorkerTraceback(Exception):
    """The traceback of an error in a worker, as the cause of the error raised here."""


@dataclass(frozen=True)
class _Failure:
    """An error that a worker sends before it ends."""

    message: str
    traceback: str
    user_error: UserError | None


@dataclass
class _Worker:
    process: Any
    connection: Connection
    item: Any = None
    busy: bool = False

    def exit_reason(self) -> str:
        self.process.join(STOP_TIMEOUT_S)
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"


class WorkerPool:
    """A context manager of worker processes that all run the service of one factory.

    Args:
        factory: picklable callable that builds the service inside a worker.
        workers: number of processes.
        noun: what an item is called in messages, for example ``seed``.

    Raises:
        RunError: on entry, a worker ended before it was ready, or the factory cannot be pickled.
        UserError: on entry, the factory raised it; it is raised here as it is.
    """

    def __init__(self, factory: Callable[[], Service], workers: int, *, noun: str) -> None:
        self.factory, self.workers, self.noun = factory, workers, noun
        self.facts: dict[str, Any] = {}
        self._pool: list[_Worker] = []

    def __enter__(self) -> WorkerPool:
        _check_picklable(self.factory)
        context = multiprocessing.get_context("spawn")
        try:
            for _ in range(self.workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, self.factory), daemon=True)
                process.start()
                theirs.close()
                self._pool.append(_Worker(process, ours, busy=True))
            self.facts = self._first_facts()
        except BaseException:
            self._terminate()
            raise
        return self

    def __exit__(self, error_type: object, *_: object) -> None:
        if error_type is None:
            self._stop()
        self._terminate()

    def run(self, items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yields (item, answer) as they come, in no particular order.

        Raises:
            RunError: a worker died or raised; the message names the item it had in hand.
        """
        waiting = list(items)[::-1]
        while waiting or any(worker.item is not None for worker in self._pool):
            for worker in self._pool:
                if waiting and not worker.busy:
                    self._hand_out(worker, waiting.pop())
            for worker, answer in self._answers():
                item, worker.item = worker.item, None
                if item is not None:
                    yield item, answer

    def _first_facts(self) -> dict[str, Any]:
        return next(answer for _, answer in self._answers())

    def _hand_out(self, worker: _Worker, item: Any) -> None:
        worker.item, worker.busy = item, True
        try:
            worker.connection.send(item)
        except OSError:
            raise self._death(worker) from None

    def _answers(self) -> list[tuple[_Worker, Any]]:
        """Waits for at least one worker and returns the answers that are there."""
        busy = {worker.connection: worker for worker in self._pool if worker.busy}
        answers = []
        for connection in wait(list(busy)):
            worker = busy[connection]  # type: ignore[index]
            try:
                answer = worker.connection.recv()
            except (EOFError, OSError):
                raise self._death(worker) from None
            worker.busy = False
            if isinstance(answer, _Failure):
                raise self._error(worker, answer) from WorkerTraceback(answer.traceback)
            answers.append((worker, answer))
        return answers

    def _death(self, worker: _Worker) -> RunError:
        reason = worker.exit_reason()
        if worker.item is None:
            return RunError(
                "a worker process must start",
                received=reason,
                remedy="in a script of your own, call it below `if __name__ == '__main__':`, "
                "because a spawned worker imports the script again",
            )
        return RunError(
            f"a worker process must outlive its work; it died at {self.noun} {worker.item}",
            received=reason,
            remedy="run the same command again to go on with what is missing; "
            "if memory ran out, pass fewer workers",
        )

    def _error(self, worker: _Worker, failure: _Failure) -> UserError:
        if worker.item is None and failure.user_error is not None:
            return failure.user_error
        where = "its start" if worker.item is None else f"{self.noun} {worker.item}"
        return RunError(f"a worker failed at {where}: {failure.message}")

    def _stop(self) -> None:
        for worker in self._pool:
            try:
                worker.connection.send(None)
            except OSError:
                continue
        for worker in self._pool:
            worker.process.join(STOP_TIMEOUT_S)

    def _terminate(self) -> None:
        for worker in self._pool:
            worker.process.kill()
        for worker in self._pool:
            worker.process.join()
            worker.connection.close()
            worker.process.close()
        self._pool = []


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_picklable(factory: Callable[[], Service]) -> None:
    try:
        pickle.dumps(factory)
    except Exception as error:
        raise RunError(
            "what a worker process runs must be picklable",
            received=str(error),
            remedy="pass functools.partial(envs.make, task) or a function of a module, no lambda",
        ) from error


def _serve(connection: Connection, factory: Callable[[], Service]) -> None:
    """The worker's main function."""
    import torch

    # Ctrl-C reaches the whole process group; the parent alone decides what happens then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    try:
        service = factory()
        try:
            connection.send(service.facts)
            while (item := connection.recv()) is not None:
                connection.send(service.run(item))
        finally:
            service.close()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:
        user_error = error if isinstance(error, UserError) else None
        message = str(error) if user_error else f"{type(error).__name__}: {error}"
        connection.send(_Failure(message, traceback.format_exc(), user_error))
