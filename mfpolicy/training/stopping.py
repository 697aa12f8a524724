"""Ctrl-C and SIGTERM as a wish that training loops see between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_OUTER: ContextVar[threading.Event | None] = ContextVar("stop_requested", default=None)


@contextmanager
def stop_requested() -> Iterator[threading.Event]:
    """Turns Ctrl-C and SIGTERM into an event; a second Ctrl-C stops at once.

    Signals reach the main thread alone. Inside another ``stop_requested``, also in a thread that
    runs in its context (``contextvars.copy_context().run``), the event is the outer one: whoever
    starts several runs handles the signals for all of them.
    """
    outer = _OUTER.get()
    if outer is not None:
        yield outer
        return
    stop = threading.Event()
    token = _OUTER.set(stop)
    try:
        with _signals_to(stop):
            yield stop
    finally:
        _OUTER.reset(token)


@contextmanager
def _signals_to(stop: threading.Event) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def request(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
