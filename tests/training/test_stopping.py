"""A wish to stop reaches every run that is under way, and no other."""

import contextvars
import os
import signal
import threading

import pytest

from mfpolicy.training.stopping import stop_requested


def _in_thread(function):
    seen = []
    thread = threading.Thread(target=lambda: seen.append(function()))
    thread.start()
    thread.join()
    return seen[0]


def _own_event():
    with stop_requested() as stop:
        return stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_runs_inside_also_in_threads_of_the_context(number):
    before = signal.getsignal(number)
    with stop_requested() as stop:
        context = contextvars.copy_context()
        assert _own_event() is stop
        assert _in_thread(lambda: context.run(_own_event)) is stop
        assert _in_thread(_own_event) is not stop
        os.kill(os.getpid(), number)
        assert stop.wait(10)
    assert signal.getsignal(number) is before
    assert not _own_event().is_set()


def _interrupt_twice():
    with stop_requested() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(10)
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(10)


def test_a_second_ctrl_c_stops_at_once():
    with pytest.raises(KeyboardInterrupt):
        _interrupt_twice()
    assert not _own_event().is_set()
