"""Files that are either old or new, never half: the writer's zarr store and its lock."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

from zarr.storage import LocalStore

from mfpolicy.errors import DataError

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer

PARTIAL_SUFFIX = ".partial"


class DurableStore(LocalStore):
    """A directory store whose every write is flushed to the disk and then renamed into place.

    Appending to a partly filled chunk rewrites a file with committed steps in it, so a write
    must never leave half a file. zarr's own store renames only from 3.1.3 on, without flushing.
    """

    async def set(self, key: str, value: Buffer) -> None:
        """Writes ``value`` under ``key``."""
        await asyncio.to_thread(self.set_sync, key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Writes ``value`` under ``key``, outside an event loop."""
        write_durably(self.root / key, value.to_bytes())

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Writes ``value`` under ``key`` unless the key is taken."""
        if not (self.root / key).exists():
            await self.set(key, value)


def write_durably(path: Path, content: bytes) -> None:
    """Replaces the file at ``path`` by ``content``: after a crash it is the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def remove_partial_files(root: Path) -> None:
    """Removes what an interrupted write left behind in ``root``."""
    for partial in root.rglob("*" + PARTIAL_SUFFIX):
        partial.unlink(missing_ok=True)


class Undisturbed:
    """Runs work to its end although Ctrl-C, or a signal handler that raises, comes meanwhile.

    zarr works in a thread of its own. An exception in the main thread would leave that work under
    way, and clearing up after it could then cut into an episode that is committed a moment later.
    """

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dataset-writer")

    def run(self, work: Callable[[], None]) -> None:
        """Runs ``work``, raises its error if it has one, else the interruption if one came."""
        future = self._worker.submit(work)
        interruption: BaseException | None = None
        while not future.done():
            try:
                wait([future])
            except BaseException as error:  # KeyboardInterrupt, or what a signal handler raises
                interruption = error
        future.result()
        if interruption is not None:
            raise interruption

    def close(self) -> None:
        """Waits for work that is still under way."""
        self._worker.shutdown(wait=True)


class WriterLock:
    """The right to write to one dataset; it ends with the process, however that ends.

    The lock file lies hidden beside the dataset, so that the dataset's own folder holds nothing
    that zarr does not know. A file that a killed process left behind is not locked and is reused.

    Args:
        target: resolved path of the dataset.

    Raises:
        DataError: another writer holds the lock.
    """

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f".{target.name}.lock")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = self._acquire(target)

    def _acquire(self, target: Path) -> int:
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(fd, 32, 0).decode(errors="replace").strip()
                os.close(fd)
                raise DataError(
                    "only one process may write to a dataset at a time",
                    received=f"{target}, open for writing in process {holder or 'unknown'}",
                    remedy="wait until it has finished, or write to another path",
                ) from None
            if self._is_current(fd):
                os.ftruncate(fd, 0)
                os.pwrite(fd, str(os.getpid()).encode(), 0)
                return fd
            os.close(fd)

    def _is_current(self, fd: int) -> bool:
        """False if the holder before us removed the file between our open and our lock."""
        try:
            return os.path.samestat(os.fstat(fd), self.path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Gives the right back; releasing twice does no harm."""
        if self._fd >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1
