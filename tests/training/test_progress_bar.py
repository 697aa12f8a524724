"""Bars of several runs share one display of the terminal."""

import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr

import pytest

from mfpolicy.training.progress_bar import ProgressBar


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return _Terminal()


def _metrics(step: int) -> dict[str, float]:
    return {"step": step, "loss": 0.1234, "samples_per_s": 567.0}


def _drive(name: str) -> None:
    bar = ProgressBar(name, 40, start=0)
    for step in range(1, 41):
        bar.write(_metrics(step))
    bar.close()


def test_a_bar_says_how_far_its_run_is(terminal):
    with redirect_stderr(terminal):
        _drive("drawer-open [1]")
    shown = terminal.getvalue()
    assert all(part in shown for part in ("drawer-open [1]", "40/40", "loss 0.1234", "567 samples"))


def test_a_run_whose_end_is_a_time_has_no_last_step(terminal):
    with redirect_stderr(terminal):
        bar = ProgressBar("run", None, start=5)
        bar.write(_metrics(7))
        bar.close()
    assert "7/?" in terminal.getvalue()


def test_a_bar_that_ends_first_stays_and_the_other_goes_on(terminal):
    with redirect_stderr(terminal):
        first, second = ProgressBar("first", 40, start=0), ProgressBar("second", 40, start=3)
        first.write(_metrics(40))
        first.close()
        middle = len(terminal.getvalue())
        second.write(_metrics(29))
        second.close()
    assert "first" in terminal.getvalue()[:middle]
    assert "40/40" in terminal.getvalue()[:middle]
    assert "29/40" in terminal.getvalue()[middle:]
    assert "40/40" not in terminal.getvalue()[middle:]


def test_many_threads_come_and_go(terminal):
    names = [f"run-{number}" for number in range(24)]
    with redirect_stderr(terminal), ThreadPoolExecutor(6) as pool:
        list(pool.map(_drive, names))
    assert all(name in terminal.getvalue() for name in names)
    before = len(terminal.getvalue())
    with redirect_stderr(terminal):
        _drive("afterwards")
    assert "afterwards" in terminal.getvalue()[before:]
