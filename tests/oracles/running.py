"""Whether a process runs, whoever its parent is."""

from __future__ import annotations


def is_running(pid: int | str) -> bool:
    """Whether it is there and does not only wait to be buried."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
