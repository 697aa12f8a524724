"""Finished cells under perturbations: what a record lacks of them, and whether it has others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mfpolicy.benchmark.evaluating import Evaluate, outcomes_of
from mfpolicy.benchmark.record import LAST, CellRecord
from mfpolicy.errors import RunError
from mfpolicy.policy.files import WEIGHTS


@dataclass(frozen=True)
class Levels:
    """The perturbations that are asked for.

    Attributes:
        perturbations: name of an evaluation → name and options of the perturbation it is under.
        episodes: of each, from the benchmark's first seed on.
    """

    perturbations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    episodes: int = 0

    def missing(self, record: CellRecord) -> list[str]:
        """The levels that a record does not have, or has of fewer episodes."""
        have = {name: len(each.episodes) for name, each in record.evaluations.items()}
        return [name for name in self.perturbations if have.get(name, 0) < self.episodes]

    def differences(self, record: CellRecord) -> Iterator[str]:
        """Levels that a record has under the same name and of another perturbation."""
        for name, asked in self.perturbations.items():
            there = record.evaluations.get(name)
            if there is not None and there.perturbation != dict(asked):
                yield f"perturbation of {name}: {there.perturbation!r} -> {dict(asked)!r}"


def check_policy(
    record: CellRecord, run: Path, path: Path, evaluate: Evaluate, workers: int | None, device: str
) -> None:
    """Refuses to add to a record what another policy than its own did.

    Args:
        record: of the cell.
        run: the cell's run folder.
        path: of the record, for messages.
        evaluate: measures the run folder; it goes on with what was measured.
        workers: of an evaluation.
        device: of the policy.

    Raises:
        RunError: the run folder is gone, or its policy did not do what the record says.
    """
    if not (run / WEIGHTS).is_file():
        raise RunError(
            "a cell must have its run folder to be evaluated under perturbations",
            received=f"{run} holds no {WEIGHTS}",
            remedy="copy the run folder there, leave robustness out, or remove "
            f"{path} to train the cell again",
        )
    recorded = record.evaluations[LAST].episodes
    done = outcomes_of(evaluate(run, len(recorded), workers, device))
    odd = [was.seed for was, now in zip(recorded, done, strict=True) if was != now]
    if odd:
        raise RunError(
            f"the policy in {run} must be the one of its record, {path}",
            received=f"{len(odd)} of {len(recorded)} episodes ended otherwise, of seed {odd[0]} "
            "first",
            remedy="restore the run folder that the record was made of, leave robustness out, or "
            "remove the record to make it anew",
        )
