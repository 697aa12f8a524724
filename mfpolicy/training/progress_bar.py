"""How far runs are, on a terminal's stderr: a bar for each, in one display."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressBar:
    """Steps done with loss, samples per second and remaining time.

    Bars of several runs stand below one another. One that is closed before the others moves above
    them and stays as it is.

    Args:
        name: of the run.
        steps: of the run, None where its end is a time.
        start: step that it goes on from.
    """

    def __init__(self, name: str, steps: int | None, *, start: int) -> None:
        self._task = _DISPLAY.add(name, steps, start)

    def write(self, metrics: Mapping[str, float]) -> None:
        """Moves the bar to the step."""
        _DISPLAY.move(self._task, metrics)

    def close(self) -> None:
        """Leaves the bar as it stands."""
        _DISPLAY.leave(self._task)


class _Display:
    """The terminal has room for one display that redraws itself: it is there while any bar is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._bars = 0

    def add(self, name: str, steps: int | None, start: int) -> TaskID:
        with self._lock:
            if self._progress is None:
                self._progress = _progress()
                self._progress.start()
            self._bars += 1
            return self._progress.add_task(
                name, total=steps, completed=start, loss=float("nan"), rate=float("nan")
            )

    def move(self, task: TaskID, metrics: Mapping[str, float]) -> None:
        assert self._progress is not None
        self._progress.update(
            task,
            completed=int(metrics["step"]),
            loss=metrics["loss"],
            rate=metrics["samples_per_s"],
        )

    def leave(self, task: TaskID) -> None:
        with self._lock:
            progress = self._progress
            assert progress is not None
            self._bars -= 1
            if not self._bars:
                progress.stop()
                self._progress = None
                return
            (bar,) = [bar for bar in progress.tasks if bar.id == task]
            progress.remove_task(task)
            progress.console.print(progress.make_tasks_table([bar]))


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TextColumn("{task.fields[rate]:.0f} samples/s"),
        Remaining(),
        console=Console(stderr=True),
    )


_DISPLAY = _Display()
