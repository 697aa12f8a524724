"""How many cells run at once, and how many CPU threads each of them gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mfpolicy.errors import ConfigError
from mfpolicy.evaluation.workers import available_cores

GPU_CELLS = 4
"""Most cells at once by default on an accelerator, where each holds a context of its own."""


@dataclass(frozen=True)
class Share:
    """The share of a machine that a cell gets.

    Attributes:
        at_once: cells that run at the same time; None where a cluster decides it.
        threads: CPU threads of a cell; None leaves them as torch has them.
    """

    at_once: int | None
    threads: int | None


def share_of(launcher: Mapping[str, Any], *, cells: int, device: str) -> Share:
    """Shares the cores of this machine among the cells that run at once.

    Two trainings with two threads each on two cores are many times slower than with one each:
    threads that wait for one another spin on cores that the other training needs. The number
    of cells, not of those still missing, decides, so that a cell resumes with the threads it had.

    Args:
        launcher: its name and options.
        cells: of the whole sweep.
        device: that the cells train on.

    Raises:
        ConfigError: an option of the launcher is out of range.
    """
    _check(launcher)
    cores = available_cores()
    match launcher["name"]:
        case "joblib" | "submitit_local" | "together":
            asked = launcher.get("n_jobs") or launcher.get("workers") or _most(cores, device)
            at_once = min(cells, cores if asked == -1 else asked)
            return Share(at_once, max(1, cores // at_once))
        case "ray":
            return Share(None, max(1, int(launcher["ray"]["remote"]["num_cpus"])))
        case _:
            return Share(None, launcher.get("cpus_per_task"))


def _most(cores: int, device: str) -> int:
    from mfpolicy.policy.files import check_device

    return cores if check_device(device).type == "cpu" else min(cores, GPU_CELLS)


def _check(launcher: Mapping[str, Any]) -> None:
    n_jobs = launcher.get("n_jobs")
    if n_jobs is not None and not (isinstance(n_jobs, int) and (n_jobs == -1 or n_jobs >= 1)):
        raise ConfigError(
            "launcher.n_jobs must be at least 1, or -1 for one a core", received=n_jobs
        )
    workers = launcher.get("workers")
    if workers is not None and not (isinstance(workers, int) and workers >= 1):
        raise ConfigError("launcher.workers must be at least 1", received=workers)
    for key in ("timeout_min", "cpus_per_task", "batch_size", "array_parallelism"):
        value = launcher.get(key)
        if value is not None and not (isinstance(value, (int, float)) and value > 0):
            raise ConfigError(f"launcher.{key} must be a number above 0", received=value)
    for key, one in (("nodes", 1), ("tasks_per_node", 1)):
        if launcher.get(key, one) != one:
            raise ConfigError(
                f"launcher.{key} must be 1: each cell is one process", received=launcher[key]
            )
