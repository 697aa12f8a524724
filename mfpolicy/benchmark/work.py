"""One cell of a benchmark: demonstrations, training, evaluations, and the record of it all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from mfpolicy.benchmark.demonstrations import Collect, provide, read_collected
from mfpolicy.benchmark.evaluating import Evaluate, evaluation_of, outcomes_of
from mfpolicy.benchmark.provenance import note_beginning, read_beginning
from mfpolicy.benchmark.record import (
    LAST,
    CellRecord,
    CurvePoint,
    Outcome,
    Trained,
    record_path,
)
from mfpolicy.benchmark.robustness import Levels, check_policy
from mfpolicy.benchmark.settings import differences, recorded_config
from mfpolicy.config import BenchmarkCell
from mfpolicy.errors import RunError
from mfpolicy.evaluation.machine import machine_facts, package_versions
from mfpolicy.evaluation.run_folder import read_metrics
from mfpolicy.sweep import CellWork
from mfpolicy.sweep.record import FINISHED, RUNNING
from mfpolicy.sweep.record import CellRecord as Progress

if TYPE_CHECKING:
    from mfpolicy.training import TrainSummary

CURVE_EPISODES = 20
"""Evaluated at each point of a learning curve, as the literature does."""


@dataclass(frozen=True)
class BenchmarkWork(CellWork):
    """Does the cells of a benchmark; a cell is finished when its record is there.

    Attributes:
        cells: all of them, with absolute paths.
        evaluate: measures a trained cell.
        collect: makes the demonstrations.
        records: folder of the records, absolute.
        commit: of the sources that the cells are run with, None where it is not known.
        levels: perturbations that finished cells are evaluated under.
        recipes: task → how the clouds of its demonstrations must be made; of others: anyhow.
    """

    cells: Sequence[BenchmarkCell]
    evaluate: Evaluate
    collect: Collect
    records: Path
    commit: str | None
    levels: Levels = field(default_factory=Levels)
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

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
        found += self.levels.differences(record)
        if found:
            raise RunError(
                f"a record must have the settings that are asked for; {path} has others",
                received="; ".join(found),
                remedy="give the recorded values, or another folder with records= and out=",
            )
        if self.levels.missing(record):
            return False
        files = self.files(number)
        known = files.read()
        if known is None or known.state != FINISHED:
            files.write(_finished(self.record(number, FINISHED), record))
        return True

    def is_trained(self, number: int) -> bool:
        """Whether the cell has a record; what it lacks is evaluations then."""
        return self.path(number).is_file()

    def prepare(self, number: int) -> None:
        """Provides the demonstrations, and notes what a new training begins with."""
        from mfpolicy.policy.files import check_device

        cell = self.cells[number]
        task, data = str(cell.config.task), Path(str(cell.config.data))
        provide(data, task, cell.demonstrations, self.collect, recipe=self.recipes.get(task))
        about = {"commit": self.commit, "packages": package_versions()}
        machine = machine_facts(str(check_device(cell.config.device)))
        note_beginning(self.files(number).run, {**about, "machine": machine})

    def trained(self, begun: Progress, summary: TrainSummary) -> Progress:
        """The sweep's record of a trained cell; it is finished when it is evaluated."""
        done = super().trained(begun, summary)
        return dataclasses.replace(done, state=RUNNING) if done.state == FINISHED else done

    def measured(self, number: int, done: Progress, device: str) -> Progress:
        """Evaluates a trained cell and writes its record, after each level once more.

        Raises:
            RunError: the cell has a record, and its run folder is gone or of another policy.
        """
        run, path = self.files(number).run, self.path(number)
        if self.is_trained(number):
            record = CellRecord.load(path)
            check_policy(record, run, path, self.evaluate, self.threads, device)
        else:
            record = self.evaluated(number, done, device)
            record.save(self.records)
        for name in self.levels.missing(record):
            asked = self.levels.perturbations[name]
            summary = self.evaluate(
                run, self.levels.episodes, self.threads, device, f"robustness-{name}", asked
            )
            evaluations = {**record.evaluations, name: evaluation_of(summary)}
            record = dataclasses.replace(record, evaluations=evaluations)
            record.save(self.records)
        return _finished(done, record)

    def evaluated(self, number: int, done: Progress, device: str) -> CellRecord:
        """The record of a trained cell, of its last checkpoint and its learning curve."""
        cell, run = self.cells[number], self.files(number).run
        last = self.evaluate(run, self.episodes, self.threads, device)
        outcomes = outcomes_of(last)
        trained = _trained(run, done, cell.config.training.batch_size)
        began = read_beginning(run) or {}
        return CellRecord(
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
            evaluations={LAST: evaluation_of(last)},
            curve=tuple(self.curve(run, device, last.checkpoint_step, outcomes)),
            machine=began.get("machine", last.machine),
            packages=began.get("packages", last.packages),
            commit=began.get("commit"),
            time=last.date,
        )

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
            points.append(CurvePoint(step, outcomes_of(summary)))
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
