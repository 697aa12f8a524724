"""What a method costs: time of a decision, size, time of its training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mfpolicy.benchmark.record import LAST, CellRecord
from mfpolicy.benchmark.report.results import Results

PERCENTILES = ("p50", "p95", "p99")


@dataclass(frozen=True)
class Cost:
    """Medians over the cells of a method.

    Attributes:
        latency_ms: percentile of a decision's time → milliseconds; empty where none was measured.
        parameters: of the whole policy. nfe: network evaluations a decision.
        training_s: wall-clock of a training. steps: of it, optimizer steps.
        processors: that the cells ran on.
    """

    latency_ms: dict[str, float]
    parameters: int
    nfe: tuple[int, ...]
    training_s: float
    steps: tuple[int, ...]
    processors: tuple[str, ...]


def cost_of(results: Results, method: str) -> Cost:
    """What the cells of a method cost."""
    cells = results.of(method)
    timed = [cell.evaluations[LAST].latency_ms for cell in cells]
    timed = [times for times in timed if all(name in times for name in PERCENTILES)]
    return Cost(
        latency_ms={p: float(np.median([t[p] for t in timed])) for p in PERCENTILES if timed},
        parameters=int(np.median([sum(cell.parameters.values()) for cell in cells])),
        nfe=tuple(sorted({cell.nfe for cell in cells})),
        training_s=float(np.median([cell.training.seconds for cell in cells])),
        steps=tuple(sorted({cell.training.steps for cell in cells})),
        processors=tuple(sorted({processor(cell) for cell in cells})),
    )


def processor(record: CellRecord) -> str:
    """What a cell ran on, in words."""
    facts = record.machine
    if "gpu" in facts:
        return str(facts["gpu"])
    cores = facts.get("cores")
    return f"{facts.get('cpu', 'unknown processor')}" + (f", {cores} cores" if cores else "")
