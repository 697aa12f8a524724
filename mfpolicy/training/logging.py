"""Where training progress goes: metrics.jsonl always, the terminal, wandb, TensorBoard."""

from __future__ import annotations

import errno
import json
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from mfpolicy.config.schema import LoggingConfig
from mfpolicy.data.durable import write_durably
from mfpolicy.errors import BackendError, RunError
from mfpolicy.training.progress_bar import ProgressBar

METRICS = "metrics.jsonl"


class Sink(Protocol):
    """Takes a line of metrics."""

    def write(self, metrics: Mapping[str, float]) -> None:
        """Takes the metrics of a step, ``step`` among them."""


class MetricsFile:
    """Appends metrics to ``metrics.jsonl``, one JSON object a line.

    Args:
        path: the file.
        resume_step: lines after this step are dropped first: the steps are about to be redone.

    Raises:
        RunError: the disk is full; the file then ends with its last whole line.
    """

    def __init__(self, path: Path, *, resume_step: int) -> None:
        self._path = path
        with self._explained():
            write_durably(path, b"".join(_lines_up_to(path, resume_step)))
            self._file = path.open("ab", buffering=0)

    def write(self, metrics: Mapping[str, float]) -> None:
        """Appends one line, or nothing."""
        line = json.dumps(dict(metrics)).encode() + b"\n"
        end = self._file.tell()
        with self._explained():
            try:
                if self._file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                self._file.truncate(end)
                raise

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(
                f"{self._path} must take every line of metrics",
                received=str(error),
                remedy="free disk space, then go on from the last checkpoint with resume=true",
            ) from error


class WandbRun:
    """Logs to wandb: online where a key is configured (``auto``), else to files in the run folder.

    Args:
        config: mode and project.
        folder: the run folder; the run continues under the same id after a resume.
        run_config: shown as the run's configuration.
    """

    def __init__(self, config: LoggingConfig, folder: Path, run_config: dict[str, Any]) -> None:
        import wandb

        id_file = folder / "wandb_id"
        saved = id_file.read_text().strip() if id_file.is_file() else ""
        identity = saved or uuid.uuid4().hex[:8]
        write_durably(id_file, identity.encode())
        online = config.wandb == "auto" and has_wandb_key()
        self._run = wandb.init(
            project=config.project,
            dir=str(folder),
            id=identity,
            name=folder.name,
            config=run_config,
            mode="online" if online else "offline",
            resume="allow",
            settings=wandb.Settings(silent=True, console="off", reinit="create_new"),
        )

    def write(self, metrics: Mapping[str, float]) -> None:
        """Logs one step."""
        self._run.log(dict(metrics), step=int(metrics["step"]))

    def close(self) -> None:
        """Finishes the run."""
        self._run.finish()


class TensorBoardLog:
    """Writes event files that ``tensorboard --logdir`` shows; a resumed run goes on in them.

    Args:
        folder: the run folder; the files lie in its ``tensorboard/``.
        resume_step: points after this step are hidden: the steps are about to be redone.

    Raises:
        BackendError: tensorboard is not installed.
    """

    def __init__(self, folder: Path, *, resume_step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise BackendError(
                "logging.tensorboard needs the tensorboard package",
                remedy="pip install 'mfpolicy[tensorboard]'",
            ) from error
        purge = resume_step + 1 if resume_step else None
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=purge)

    def write(self, metrics: Mapping[str, float]) -> None:
        """Adds one point to every curve."""
        step = int(metrics["step"])
        for name, value in metrics.items():
            if name != "step":
                self._writer.add_scalar(f"train/{name}", value, step)

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()


@contextmanager
def sinks(
    config: LoggingConfig,
    folder: Path,
    *,
    steps: int | None,
    start: int,
    run_config: dict[str, Any],
) -> Iterator[list[Sink]]:
    """Opens what the configuration asks for and closes it whatever happens.

    Args:
        config: what to open.
        folder: the run folder.
        steps: of the run, None where its end is a time.
        start: step that the run goes on from.
        run_config: shown by wandb.

    Raises:
        BackendError: a package is not installed.
    """
    opened: list[Any] = [MetricsFile(folder / METRICS, resume_step=start)]
    try:
        if config.wandb != "disabled":
            opened.append(WandbRun(config, folder, run_config))
        if config.tensorboard:
            opened.append(TensorBoardLog(folder, resume_step=start))
        if config.progress and sys.stderr.isatty():
            opened.append(ProgressBar(folder.name, steps, start=start))
        yield opened
    finally:
        for sink in reversed(opened):
            sink.close()


def _lines_up_to(path: Path, step: int) -> Iterator[bytes]:
    """Yields the lines of steps up to ``step``; what a crash tore or left as zeros is none."""
    if not path.is_file():
        return
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            if line.endswith(b"\n") and json.loads(line)["step"] <= step:
                yield line
        except (ValueError, KeyError, TypeError):
            continue


def has_wandb_key() -> bool:
    """Whether wandb would find a key: in WANDB_API_KEY, or in the netrc file."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    netrc = Path(os.environ.get("NETRC", Path.home() / ".netrc"))
    return netrc.is_file() and "wandb" in netrc.read_text()
