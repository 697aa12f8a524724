"""Kills dataset writers with SIGKILL again and again, and checks what they leave behind.

Run as a script: ``crash_trials.py FOLDER random|every-write``. One process imports zarr once and
forks a writer a trial; a checker, forked as well, reads what is left. Prints a JSON summary.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import zarr  # noqa: F401  (imported before the forks, so that each is fast)

from mfpolicy.data import durable
from mfpolicy.data.store import DatasetSpec, DatasetWriter, Episode, open_dataset
from mfpolicy.errors import DataError

POINTS, STATE, ACTION = 8, 3, 2
SPEC = DatasetSpec("toy/crash", 20.0, "scripted", None, None, STATE, ACTION, POINTS)


def episode(index: int) -> Episode:
    rng = np.random.default_rng(index)
    length = int(rng.integers(1, 170))  # chunks of 100 steps: shared, filled exactly, and spanned
    return Episode(
        point_cloud=rng.uniform(-1, 1, (length, POINTS, 3)).astype(np.float32),
        agent_pos=rng.normal(size=(length, STATE)).astype(np.float32),
        action=rng.uniform(-1, 1, (length, ACTION)).astype(np.float32),
        seed=index,
        success=True,
        color=rng.integers(0, 256, (length, POINTS, 3)).astype(np.uint8),
    )


def write(path: Path, target: int, finished: Callable[[], None]) -> None:
    with DatasetWriter.open(path, SPEC) as writer:
        while writer.episode_count < target:
            index = writer.episode_count
            writer.append(episode(index), journal={"written": index + 1})
            finished()


def check(path: Path, acknowledged: int) -> int:
    """Every finished episode is there and equals its original; returns how many there are."""
    try:
        dataset = open_dataset(path)
    except DataError as error:
        told = str(error)
        if acknowledged or not ("must exist" in told or "at least one finished" in told):
            raise
        return 0
    assert dataset.episode_count >= acknowledged
    assert dataset.journal == {"written": dataset.episode_count}
    for index in range(dataset.episode_count):
        mine, original = dataset.episode(index), episode(index)
        assert (mine.seed, mine.success) == (original.seed, True)
        for name in ("point_cloud", "agent_pos", "action", "color"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(original, name))
    return dataset.episode_count


def same_files(one: Path, other: Path) -> bool:
    """Whether two datasets are the same, file by file and byte by byte."""
    files = [
        {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}
        for root in (one, other)
    ]
    return files[0] == files[1]


def forked(work: Callable[[], int]) -> int:
    """Starts ``work`` in a child; its exit status is what ``work`` returns, 255 if it raised."""
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            status = work()
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return pid


def status_of(pid: int) -> int:
    _, status = os.waitpid(pid, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


class Trial:
    """One writer, killed or not, and the count of episodes it said were finished."""

    def __init__(self, path: Path, target: int, prepare: Callable[[], None]) -> None:
        reader, writer = os.pipe()

        def work() -> int:
            prepare()
            write(path, target, lambda: os.write(writer, b"."))
            return 0

        self.pid = forked(work)
        os.close(writer)
        self._reader = reader

    def end(self) -> tuple[int, int]:
        status = status_of(self.pid)
        count = 0
        while data := os.read(self._reader, 4096):
            count += len(data)
        os.close(self._reader)
        return status, count


def checked(path: Path, acknowledged: int) -> int:
    count = status_of(forked(partial(check, path, acknowledged)))
    assert count not in (255, -11), f"what the killed writer left at {path} is not in order"
    return count


def random_kills(folder: Path, target: int = 10, datasets: int = 4, least: int = 10) -> dict:
    """Kills at random moments until the dataset is complete, several times over.

    How many kills a dataset takes depends on the machine; they are at least ``least`` in all.
    """
    rng = random.Random(0)
    reference = folder / "reference.zarr"
    started = time.monotonic()
    assert Trial(reference, target, lambda: None).end() == (0, target)
    longest = time.monotonic() - started
    kills = number = 0
    while number < datasets or kills < least:
        path, acknowledged, present = folder / f"random{number}.zarr", 0, 0
        while present < target:
            trial = Trial(path, target, lambda: None)
            time.sleep(rng.uniform(0, longest * 0.6))
            os.kill(trial.pid, signal.SIGKILL)
            status, finished = trial.end()
            kills += status == -signal.SIGKILL
            acknowledged = present + finished
            present = checked(path, acknowledged)
        assert status_of(forked(partial(check, path, target))) == target
        assert Trial(path, target, lambda: None).end() == (0, 0)  # tidies up
        assert same_files(path, reference)
        number += 1
    return {"kills": kills}


def every_write(folder: Path, target: int = 2) -> dict:
    """Kills in the middle of the first, second, … write or removal, until none is left."""
    reference = folder / "reference.zarr"
    assert Trial(reference, target, lambda: None).end() == (0, target)
    number, status, after_kill = 0, -signal.SIGKILL, set()
    while status == -signal.SIGKILL:
        number += 1
        path = folder / f"write{number}.zarr"
        status, acknowledged = Trial(path, target, partial(kill_in_write, number)).end()
        present = checked(path, acknowledged)
        after_kill.add(present)
        if number % 3 == 0:  # a second kill, in the tidying up of the first one's leftovers
            second, more = Trial(path, target, partial(kill_in_write, 1 + number % 7)).end()
            assert second in (0, -signal.SIGKILL)
            present = checked(path, present + more)
        assert Trial(path, target, lambda: None).end() == (0, target - present)
        assert same_files(path, reference), path
    return {"kills": number - 1, "episodes_after_kill": sorted(after_kill)}


def kill_in_write(number: int) -> None:
    """Has this process kill itself half-way through its ``number``-th write or removal."""
    original, delete, count = durable.write_durably, durable.DurableStore.delete, 0

    def reached() -> bool:
        nonlocal count
        count += 1
        return count == number

    def half_a_write(path: Path, content: bytes) -> None:
        if reached():
            partial = path.with_name(path.name + durable.PARTIAL_SUFFIX)
            partial.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        original(path, content)

    async def no_removal(self: durable.DurableStore, key: str) -> None:
        if reached():
            os.kill(os.getpid(), signal.SIGKILL)
        await delete(self, key)

    durable.write_durably = half_a_write
    durable.DurableStore.delete = no_removal


if __name__ == "__main__":
    durable.os.fsync = lambda fd: None  # only a power cut needs it; it makes the trials slow
    run = {"random": random_kills, "every-write": every_write}[sys.argv[2]]
    print(json.dumps(run(Path(sys.argv[1]))))
