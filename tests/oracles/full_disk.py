"""A disk that runs full: a small one of its own where this process may mount it."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self


class FullDisk:
    """Gives a folder on a disk that can be filled.

    As root it is a tmpfs, and a full one refuses writes with ENOSPC. Elsewhere it is an ordinary
    folder, and the limit on a file's size refuses them, with EFBIG.

    Args:
        where: the folder is made in it.
        megabytes: size of the tmpfs.

    Attributes:
        folder: on the disk.
    """

    def __init__(self, where: Path, *, megabytes: int) -> None:
        self.folder = where / "disk"
        self.folder.mkdir()
        options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(self.folder)]
        may_mount = os.geteuid() == 0 and shutil.which("mount") is not None
        self.mounted = may_mount and (
            subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)

    @contextmanager
    def full(self, *, free: int) -> Iterator[None]:
        """Leaves room for ``free`` bytes more (of each file, where there is no tmpfs)."""
        if not self.mounted:
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (free, hard))
            try:
                yield
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            return
        ballast = self.folder / ".ballast"
        state = os.statvfs(self.folder)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize - free)
        try:
            yield
        finally:
            ballast.unlink()
