"""Kills a small benchmark with SIGKILL before changes of its files, and goes on.

Run as a script: ``kill_trials.py FOLDER``. One process imports torch once and forks the benchmark
for each trial. Prints the number of the kills.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

from benchmark.small_grid import collect, evaluate, small
from mfpolicy.benchmark.run import run_benchmark
from mfpolicy.config import Benchmark

CHANGES = ("os.rename", "os.remove", "os.mkdir")
FIRST, EVERY, MOST = 44, 60, 3
"""Kills before these changes of some 210: in the first episode collected, in training, later."""
SLOW_TO_IMPORT = ("torch._dynamo", "torch.onnx", "zarr", "hydra")
"""Which each fork would import for itself."""
WORDS = ("tasks=metaworld/reach", "training.steps=2")


def kill_at_change(number: int, out: Path) -> None:
    """Has this process kill itself right before its ``number``-th change to files below ``out``."""
    count = 0

    def die_at(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        change = event in CHANGES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if change and str(arguments[0]).startswith(str(out)):
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(die_at)


def forked(benchmark: Benchmark, out: Path, *, killed_at: int | None) -> bool:
    """Runs the benchmark in a child, in the folder; says whether it came to its end."""
    out.mkdir(exist_ok=True)
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            os.chdir(out)
            if killed_at is not None:
                kill_at_change(killed_at, out)
            result = run_benchmark(benchmark, collect=collect, evaluate=evaluate)
            status = int(any(record.state != "finished" for record in result.records))
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or os.WEXITSTATUS(status) == 0, status
    return not killed


def main(folder: Path) -> None:
    """Kills at every chosen change, until the benchmark has no more of them."""
    for name in SLOW_TO_IMPORT:
        importlib.import_module(name)
    benchmark = small(Path(), *WORDS)  # of whichever folder it runs in
    assert forked(benchmark, folder / "reference", killed_at=None)
    trials = 0
    for number in range(FIRST, FIRST + MOST * EVERY, EVERY):
        out = folder / f"killed{number}"
        if forked(benchmark, out, killed_at=number):
            break
        assert forked(benchmark, out, killed_at=None)
        trials += 1
    print(trials)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
