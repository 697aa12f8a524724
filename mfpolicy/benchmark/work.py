"""One cell of a benchmark: demonstrations, training, evaluations, and the record of it all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

from mfpolicy.benchmark.demonstrations import Collect, provide, read_collected
from mfpolicy.benchmark.provenance import note_beginning, read_beginning
from mfpolicy.benchmark.record import (
    LAST,
    CellRecord,
    CurvePoint,
    Evaluation,
    Outcome,
    Trained,
    record_path,
)
from mfpolicy.benchmark.settings import FIRST_SEED, differences, recorded_config
from mfpolicy.config import BenchmarkCell
from mfpolicy.errors import RunError
from mfpolicy.evaluation.machine import machine_facts, package_versions
from mfpolicy.evaluation.records import read_log
from mfpolicy.evaluation.run_folder import read_metrics
from mfpolicy.sweep import CellWork
from mfpolicy.sweep.record import FINISHED, RUNNING
from mfpolicy.sweep.record import CellRecord as Progress

if TYPE_CHECKING:
    from mfpolicy.evaluation.summary import EvalSummary
    from mfpolicy.training import TrainSummary

CURVE_EPISODES = 20
"""Evaluated at each point of a learning curve, as the literature does."""

EVALUATED_WITH = (
    "nfe",
    "noise_scale",
    "guidance_scale",
    "execution",
    "latency_ms_injected",
    "compiled",
)
"""What a record keeps of an evaluation's settings, as :class:`EvalSummary` names it."""


class Evaluate(Protocol):
    """Measures a run folder on episodes from seed 10000 on; picklable."""

    def __call__(
        self, run: Path, episodes: int, workers: int | None, device: str, name: str = "benchmark"
    ) -> EvalSummary:
        """Evaluates under ``name``, or goes on."""
        ...


@dataclass(frozen=True)
class BenchmarkWork(CellWork):
    """Does the cells of a benchmark; a cell is finished when its record is there.

    Attributes:
        cells: all of them, with absolute paths.
        evaluate: measures a trained cell.
        collect: makes the demonstrations.
        records: folder of the records, absolute.
        commit: of the sources that the cells are run with, None where it is not known.
    """

    cells: Sequence[BenchmarkCell]
    evaluate: Evaluate
    collect: Collect
    records: Path
    commit: str | None

    def path(self, number: int) -> Path:
        """Where the cell's record lies."""
        cell = self.cells[number]
        return record_path(
            self.records,
            task=str(cell.config.task),
            method=cell.method,
            demonstrations=cell.demonstrations,
            seed=cell.config.seed,
        )

    def is_finished(self, number: int) -> bool:
        """Whether the cell has a record, and is known as finished to the sweep.

        Raises:
            RunError: the record is damaged, or was made with other settings.
        """
        path = self.path(number)
        if not path.is_file():
            return False
        record = CellRecord.load(path)
        found = differences(record, self.cells[number], episodes=self.episodes)
        if found:
            raise RunError(
                f"a record must have the settings that are asked for; {path} has others",
                received="; ".join(found),
                remedy="give the recorded values, or another folder with records= and out=",
            )
        files = self.files(number)
        known = files.read()
        if known is None or known.state != FINISHED:
            files.write(_finished(self.record(number, FINISHED), record))
        return True

    def prepare(self, number: int) -> None:
        """Provides the demonstrations, and notes what a new training begins with."""
        from mfpolicy.policy.files import check_device

        cell = self.cells[number]
        task, data = str(cell.config.task), Path(str(cell.config.data))
        provide(data, task, cell.demonstrations, self.collect)
        about = {"commit": self.commit, "packages": package_versions()}
        machine = machine_facts(str(check_device(cell.config.device)))
        note_beginning(self.files(number).run, {**about, "machine": machine})

    def trained(self, begun: Progress, summary: TrainSummary) -> Progress:
        """The sweep's record of a trained cell; it is finished when it is evaluated."""
        done = super().trained(begun, summary)
        return dataclasses.replace(done, state=RUNNING) if done.state == FINISHED else done

    def measured(self, number: int, done: Progress, device: str) -> Progress:
        """Evaluates a trained cell and writes its record."""
        cell, run = self.cells[number], self.files(number).run
        last = self.evaluate(run, self.episodes, self.threads, device)
        outcomes = _outcomes(last)
        trained = _trained(run, done, cell.config.training.batch_size)
        began = read_beginning(run) or {}
        record = CellRecord(
            task=str(cell.config.task),
            difficulty=cell.difficulty,
            method=cell.method,
            seed=cell.config.seed,
            demonstrations=cell.demonstrations,
            overrides=cell.overrides,
            config=recorded_config(cell.config),
            parameters=_parameters(run),
            nfe=last.nfe,
            collected=read_collected(Path(str(cell.config.data))),
            training=trained,
            evaluations={LAST: _evaluation(last, outcomes)},
            curve=tuple(self.curve(run, device, last.checkpoint_step, outcomes)),
            machine=began.get("machine", last.machine),
            packages=began.get("packages", last.packages),
            commit=began.get("commit"),
            time=last.date,
        )
        record.save(self.records)
        return _finished(done, record)

    def curve(
        self, run: Path, device: str, step_of_last: int | None, last: Sequence[Outcome]
    ) -> list[CurvePoint]:
        """Evaluates what was kept along the training.

        The one of the last checkpoint's step has been evaluated; a training that stops early ends
        between two.
        """
        from mfpolicy.training.snapshots import kept_snapshots

        points = []
        for step, folder in kept_snapshots(run).items():
            if step == step_of_last and len(last) >= CURVE_EPISODES:
                points.append(CurvePoint(step, tuple(last[:CURVE_EPISODES])))
                continue
            summary = self.evaluate(folder, CURVE_EPISODES, self.threads, device, "curve")
            points.append(CurvePoint(step, _outcomes(summary)))
        return points


def _finished(progress: Progress, record: CellRecord) -> Progress:
    """What the sweep is told of a cell that has a record."""
    episodes = record.evaluations[LAST].episodes
    return dataclasses.replace(
        progress,
        state=FINISHED,
        step=record.training.steps,
        steps=record.training.steps,
        loss=record.training.loss,
        episodes=len(episodes),
        success_any=sum(each.success_any for each in episodes) / len(episodes),
        success_end=sum(each.success_end for each in episodes) / len(episodes),
    )


def _outcomes(summary: EvalSummary) -> tuple[Outcome, ...]:
    results = read_log(summary.folder)
    return tuple(
        Outcome(
            seed=seed,
            success_any=results[seed].success_any,
            success_end=results[seed].success_end,
            steps=results[seed].steps,
            episode_return=round(results[seed].episode_return, 3),
        )
        for seed in range(FIRST_SEED, FIRST_SEED + summary.episodes)
    )


def _evaluation(summary: EvalSummary, outcomes: tuple[Outcome, ...]) -> Evaluation:
    stages = {name: round(times["p50"], 3) for name, times in summary.latency_ms.items()}
    total = summary.latency_ms["total"]
    latency: dict[str, Any] = {key: round(total[key], 3) for key in ("p50", "p95", "p99", "max")}
    latency["stages"] = {name: p50 for name, p50 in stages.items() if name != "total"}
    return Evaluation(
        perturbation={},
        seconds=round(summary.wall_seconds, 1),
        episodes=outcomes,
        latency_ms=latency,
        settings={key: getattr(summary, key) for key in EVALUATED_WITH},
        machine=summary.machine,
        packages=summary.packages,
    )


def _trained(run: Path, done: Progress, batch_size: int) -> Trained:
    from mfpolicy.training.checkpoint import load_state
    from mfpolicy.training.run_folder import STATE

    state = load_state(run / STATE, tidy=False)
    if state is None or done.step is None or done.loss is None:
        raise RunError("a trained cell must have a checkpoint and metrics", received=str(run))
    rates = [line["samples_per_s"] for line in read_metrics(run)]
    return Trained(
        steps=done.step,
        batch_size=batch_size,
        seconds=round(state.numbers["seconds"], 1),
        samples_per_s=round(median(rates), 1),
        loss=done.loss,
    )


def _parameters(run: Path) -> dict[str, int]:
    from mfpolicy.policy import load_policy

    policy = load_policy(run)
    parts = {"encoder": policy.encoder, "network": policy.network}
    return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
