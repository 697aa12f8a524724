"""What a record keeps of an evaluation, and who evaluates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mfpolicy.benchmark.record import Evaluation, Outcome
from mfpolicy.benchmark.settings import FIRST_SEED
from mfpolicy.evaluation.records import read_log

if TYPE_CHECKING:
    from mfpolicy.evaluation.summary import EvalSummary

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
        self,
        run: Path,
        episodes: int,
        workers: int | None,
        device: str,
        name: str = "benchmark",
        perturbation: Mapping[str, Any] | None = None,
    ) -> EvalSummary:
        """Evaluates under ``name``, or goes on."""
        ...


def outcomes_of(summary: EvalSummary) -> tuple[Outcome, ...]:
    """How the episodes of an evaluation ended, in the order of their seeds."""
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


def evaluation_of(summary: EvalSummary) -> Evaluation:
    """The part of a record that an evaluation makes."""
    stages = {name: round(times["p50"], 3) for name, times in summary.latency_ms.items()}
    total = summary.latency_ms["total"]
    latency: dict[str, Any] = {key: round(total[key], 3) for key in ("p50", "p95", "p99", "max")}
    latency["stages"] = {name: p50 for name, p50 in stages.items() if name != "total"}
    return Evaluation(
        perturbation=summary.perturbation or {},
        seconds=round(summary.wall_seconds, 1),
        episodes=outcomes_of(summary),
        latency_ms=latency,
        settings={key: getattr(summary, key) for key in EVALUATED_WITH},
        machine=summary.machine,
        packages=summary.packages,
    )
