"""Kills training runs with SIGKILL before every change of their files, and resumes them.

Run as a script: ``crash_trials.py FOLDER WORD...`` with the words of ``mfpolicy train``. One
process imports torch once and forks a run a trial; a reader, forked as well, looks at what the
killed run left. Prints a JSON summary.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import torch._dynamo  # before the forks, so that none of them takes a second for it
from safetensors.torch import load_file

from mfpolicy.config import compose
from mfpolicy.policy import load_policy
from mfpolicy.training import train

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")
LONGEST = 200


def forked(work: Callable[[], object]) -> int:
    """Runs ``work`` in a child; returns its exit status, negative for the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            work()
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def kill_at_change(number: int, run: Path) -> None:
    """Has this process kill itself right before its ``number``-th change to files of the run.

    A change is a file opened for writing, renamed or removed, a folder made or removed; and half a
    safetensors file written, which counts beside them.
    """
    save_file, count = safetensors.torch.save_file, 0

    def reached() -> bool:
        nonlocal count
        count += 1
        return count == number

    def die_at(event: str, arguments: tuple[Any, ...]) -> None:
        change = event in CHANGES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if change and str(arguments[0]).startswith(str(run)) and reached():
            os.kill(os.getpid(), signal.SIGKILL)

    def half_a_file(tensors: Any, filename: Path, metadata: Any = None) -> None:
        if reached():
            save_file(tensors, filename, metadata=metadata)
            unfinished = filename.rename(filename.with_name(".tmpA1b2c3"))
            os.truncate(unfinished, unfinished.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        save_file(tensors, filename, metadata=metadata)

    safetensors.torch.save_file = half_a_file
    sys.addaudithook(die_at)


class Trials:
    """Runs of one configuration in folders of their own, compared with one that nothing stopped.

    Args:
        folder: of the runs.
        words: of ``mfpolicy train``, without ``out`` and ``resume``.
    """

    def __init__(self, folder: Path, words: list[str]) -> None:
        self.folder = folder
        self.config = compose("train", [*words, f"out={folder}", "resume=true"])
        self.reference = folder / "reference"
        assert self.run("reference") == 0

    def run(self, name: str, *, killed_at: int | None = None) -> int:
        """Starts the run or goes on with it; returns the exit status."""
        out = self.folder / name
        config = dataclasses.replace(self.config, out=str(out))

        def work() -> None:
            if killed_at is not None:
                kill_at_change(killed_at, out)
            train(config)

        return forked(work)

    def check_killed(self, name: str) -> None:
        """Whatever policy is in the folder can be read: none is half."""
        if (self.folder / name / "model.safetensors").exists():
            assert forked(partial(load_policy, self.folder / name)) == 0

    def check_finished(self, name: str) -> None:
        """The run equals the reference: policy, state and metrics, and no file more or less."""
        run = self.folder / name
        assert names(run) == names(self.reference)
        model = "model.safetensors"
        assert (run / model).read_bytes() == (self.reference / model).read_bytes()
        for state in (self.reference / "training_state").iterdir():
            mine, other = (
                load_file(root / "training_state" / state.name) for root in (run, self.reference)
            )
            assert mine.keys() == other.keys()
            assert all(torch.equal(mine[key], other[key]) for key in mine)
        assert metrics(run) == metrics(self.reference)


def names(run: Path) -> list[str]:
    """Every file and folder of a run."""
    return sorted(str(path.relative_to(run)) for path in run.rglob("*"))


def metrics(run: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl, without the one number that depends on the clock."""
    text = (run / "metrics.jsonl").read_text()
    assert text.endswith("\n")
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        line.pop("samples_per_s")
    return lines


def every_change(trials: Trials) -> dict[str, int]:
    """Kills before the first, second, … change, until a run has no more of them."""
    number, kills = 0, 0
    while (number := number + 1) < LONGEST:
        name = f"killed{number}"
        status = trials.run(name, killed_at=number)
        if status == 0:
            trials.check_finished(name)
            return {"changes": number - 1, "kills": kills}
        assert status == -signal.SIGKILL, status
        kills += 1
        trials.check_killed(name)
        if number % 3 == 0:  # a second kill, in the tidying up of the first one's leftovers
            again = trials.run(name, killed_at=1 + number % 7)
            assert again in (0, -signal.SIGKILL), again
            kills += again != 0
            trials.check_killed(name)
        assert trials.run(name) == 0
        trials.check_finished(name)
    raise AssertionError("the run does not end")


if __name__ == "__main__":
    os.fsync = lambda fd: None  # only a power cut needs it; it makes the trials slow
    print(json.dumps(every_change(Trials(Path(sys.argv[1]), sys.argv[2:]))))
