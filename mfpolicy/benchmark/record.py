"""A finished cell of the benchmark as one small JSON file, kept when its run folder is gone.

It says what was trained on what, how every evaluated episode ended, and on which machine, so that
tables are made of records alone and a grid goes on wherever its records are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mfpolicy.config.convert import from_mapping, to_mapping
from mfpolicy.errors import RunError, UserError
from mfpolicy.evaluation.records import write_text

SCHEMA = 1
LAST = "last"
"""The evaluation that every record has: the last checkpoint, nothing perturbed."""
LINE = 120
"""Longest line of a record's file, of those that can be broken."""


@dataclass(frozen=True)
class Outcome:
    """How one evaluated episode ended; see :class:`mfpolicy.types.EpisodeResult`."""

    seed: int
    success_any: bool
    success_end: bool
    steps: int
    episode_return: float


@dataclass(frozen=True)
class Evaluation:
    """Episodes of one policy under one condition.

    Attributes:
        perturbation: what was changed, name → value; empty where nothing was.
        seconds: wall-clock time of the last call that ran an episode.
        episodes: in the order of their seeds.
        latency_ms: of a decision: p50, p95, p99, max, and ``stages``, stage → its median.
        settings: of :class:`~mfpolicy.evaluation.summary.EvalSummary`: how chunks were sampled,
            compiled and executed.
        machine: what the last of the episodes ran on. packages: versions then.
    """

    perturbation: dict[str, Any]
    seconds: float
    episodes: tuple[Outcome, ...]
    latency_ms: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CurvePoint:
    """Episodes of the policy as it was after ``step`` optimizer steps."""

    step: int
    episodes: tuple[Outcome, ...]


@dataclass(frozen=True)
class Collected:
    """The demonstrations.

    Attributes:
        episodes: kept. steps: control steps of all of them. attempts: of the expert.
        seconds: it took to collect them, of the last call that did; None where no benchmark did.
        seeds: of the kept episodes.
        digest: of what the dataset holds and of its recipe, the same for the same demonstrations;
            None in records of earlier versions.
    """

    episodes: int
    steps: int
    attempts: int
    seconds: float | None
    seeds: tuple[int, ...]
    digest: str | None = None


@dataclass(frozen=True)
class Trained:
    """The training.

    Attributes:
        steps: optimizer steps. batch_size: windows a step.
        seconds: wall-clock time over all resumes.
        samples_per_s: windows a second, the median over the training.
        loss: mean of the last logged steps.
    """

    steps: int
    batch_size: int
    seconds: float
    samples_per_s: float
    loss: float


@dataclass(frozen=True)
class CellRecord:
    """A finished cell.

    Attributes:
        task: ``suite/task``. difficulty: its group. method: name of its file in configs/method.
        seed: of the training. demonstrations: that it saw.
        overrides: train overrides, those of the method and of the command line, as words.
        config: the resolved training configuration, dotted key → value, without its paths.
        parameters: part of the policy (encoder, network) → how many it has.
        nfe: network evaluations a decision.
        collected: the demonstrations. training: the training.
        evaluations: name → episodes; always ``last``.
        curve: evaluations along the training, in its order; empty where none were asked for.
        machine: what the training began on. packages: versions then.
        commit: of this package's sources when the training began, None where they were no checkout
            or the run folder does not say.
        time: when the last episode of ``last`` ended, ISO 8601 with time zone.
    """

    task: str
    difficulty: str
    method: str
    seed: int
    demonstrations: int
    overrides: tuple[str, ...]
    config: dict[str, Any]
    parameters: dict[str, int]
    nfe: int
    collected: Collected
    training: Trained
    evaluations: dict[str, Evaluation]
    curve: tuple[CurvePoint, ...]
    machine: dict[str, Any]
    packages: dict[str, str]
    commit: str | None
    time: str
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise RunError(f"a record must have schema {SCHEMA}", received=self.schema)
        if LAST not in self.evaluations:
            raise RunError(
                f"a record must hold the evaluation {LAST!r}", received=list(self.evaluations)
            )
        for name, part in (*self.evaluations.items(), *((p.step, p) for p in self.curve)):
            if not part.episodes:
                raise RunError("every evaluation of a record must have episodes", received=name)

    def save(self, folder: str | Path) -> Path:
        """Writes the record below the folder of records, whole or not at all; returns its path."""
        path = record_path(
            folder,
            task=self.task,
            method=self.method,
            demonstrations=self.demonstrations,
            seed=self.seed,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        values = to_mapping(self)
        write_text(path, _lines({"schema": values.pop("schema"), **values}) + "\n")
        return path

    @classmethod
    def load(cls, path: str | Path) -> CellRecord:
        """Reads a record.

        Raises:
            RunError: the file is none, or of another schema.
        """
        try:
            return from_mapping(cls, json.loads(Path(path).read_text(encoding="utf-8")))
        except (UserError, ValueError, TypeError) as error:
            raise RunError(
                f"{path} must be the record of a benchmark cell",
                received=str(error),
                remedy="restore it, or remove it and run the cell again",
            ) from error


def record_path(
    folder: str | Path, *, task: str, method: str, demonstrations: int, seed: int
) -> Path:
    """Where the record of a cell lies.

    Example:
        >>> cell = {"task": "adroit/pen", "method": "mp1", "demonstrations": 10, "seed": 0}
        >>> record_path("records", **cell).as_posix()
        'records/adroit/pen/mp1/d10-s0.json'
    """
    return Path(folder) / task / method / f"d{demonstrations}-s{seed}.json"


def read_records(folder: str | Path) -> list[CellRecord]:
    """Reads every record below a folder of records, in the order of their paths.

    Raises:
        RunError: there is no such folder, or a record in it is damaged; the message names it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError(
            "records must lie in a folder",
            received=str(folder),
            remedy="`mfpolicy benchmark run … records=FOLDER` writes them",
        )
    paths = folder.glob("*/*/*/d*-s*.json")
    return [CellRecord.load(p) for p in sorted(paths) if not p.name.startswith(".")]


def _lines(value: Any, indent: str = "") -> str:
    """JSON with a line for whatever fits one, such as an episode: short, and a change is seen."""
    line, inner = json.dumps(value), f"{indent} "
    if len(line) <= LINE or not isinstance(value, (Mapping, list)):
        return line
    if isinstance(value, Mapping):
        items = [f"{json.dumps(key)}: {_lines(item, inner)}" for key, item in value.items()]
    else:
        items = [_lines(item, inner) for item in value]
    start, end = line[0], line[-1]
    return f"{start}\n{inner}" + f",\n{inner}".join(items) + f"\n{indent}{end}"
