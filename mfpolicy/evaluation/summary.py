"""The summary of an evaluation: computed from its episodes, one JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.errors import RunError
from mfpolicy.evaluation.latency import latency_percentiles
from mfpolicy.evaluation.records import SUMMARY, write_json
from mfpolicy.evaluation.statistics import SuccessRate, success_rate
from mfpolicy.types import EpisodeResult

SCHEMA = 1


@dataclass(frozen=True)
class EvalSummary:
    """What an evaluation found; ``summary.json`` holds the same fields.

    Attributes:
        name: the evaluation's name. run: the run folder, as it was given.
        task: the task evaluated on. checkpoint_step: training steps of the weights, if known.
        weights_sha256: of model.safetensors.
        episodes: episodes counted. seeds: the first and the last seed.
        success_any: success at some step. success_end: success at the last step.
        mean_steps: control steps of an episode. mean_return: sum of rewards of an episode.
        clipped_share: share of the steps whose action was clipped to the action space.
        nfe: network evaluations a decision.
        latency_ms: stage → p50, p95, p99, max and n.
        device: of the policy.
        new_episodes: episodes this call ran; the rest was on disk.
        workers: processes that ran at the same time, which the latencies were measured beside.
        threads: torch threads of each.
        wall_seconds: start of the workers included, videos left out.
        machine: what it ran on. packages: versions. date: UTC, ISO 8601, at the end. These and
            workers, threads and wall_seconds are those of the last call that ran an episode.
        noise_scale: factor on the policy's noise. guidance_scale: what was asked for, if anything.
        execution: how chunks were executed, None the plain way.
        latency_ms_injected: simulated, from an observation to the chunk decided on it.
        compiled: backend and precision of a compiled policy, None for the policy itself.
        perturbation: what the environment changed, name and options, None where nothing.
        mean_holds: steps of an episode at which no action was there yet.
        mean_rms_jerk_per_s3: of an episode's commanded motion, in action units per s³.
        flags: further flags that the task names, each up at some step.
    """

    name: str
    run: str
    task: str
    checkpoint_step: int | None
    weights_sha256: str
    episodes: int
    seeds: tuple[int, int]
    success_any: SuccessRate
    success_end: SuccessRate
    mean_steps: float
    mean_return: float
    clipped_share: float
    nfe: int
    latency_ms: dict[str, dict[str, float]]
    device: str
    new_episodes: int
    workers: int
    threads: int
    wall_seconds: float
    machine: dict[str, Any]
    packages: dict[str, str]
    date: str
    schema: int = SCHEMA
    noise_scale: float = 1.0
    guidance_scale: float | None = None
    execution: dict[str, Any] | None = None
    latency_ms_injected: float = 0.0
    compiled: dict[str, str] | None = None
    perturbation: dict[str, Any] | None = None
    mean_holds: float = 0.0
    mean_rms_jerk_per_s3: float | None = None
    flags: dict[str, SuccessRate] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The evaluation's folder within the run."""
        return Path(self.run) / "eval" / self.name

    def save(self) -> None:
        """Writes summary.json, whole or not at all."""
        write_json(self.folder / SUMMARY, asdict(self))


def outcome_fields(results: Sequence[EpisodeResult]) -> dict[str, Any]:
    """The fields of a summary that follow from the episodes alone, in any order of them."""
    ordered = sorted(results, key=lambda result: result.seed)
    steps = [result.steps for result in ordered]
    jerks = [r.rms_jerk_per_s3 for r in ordered if r.rms_jerk_per_s3 is not None]
    return {
        "episodes": len(ordered),
        "seeds": (ordered[0].seed, ordered[-1].seed),
        "success_any": success_rate([result.success_any for result in ordered]),
        "success_end": success_rate([result.success_end for result in ordered]),
        "mean_steps": float(np.mean(steps)),
        "mean_return": float(np.mean([result.episode_return for result in ordered])),
        "clipped_share": sum(result.clipped_actions for result in ordered) / sum(steps),
        "mean_holds": float(np.mean([result.holds for result in ordered])),
        "mean_rms_jerk_per_s3": float(np.mean(jerks)) if jerks else None,
        "latency_ms": latency_percentiles(ordered),
        "flags": {
            name: success_rate([result.flags.get(name, False) for result in ordered])
            for name in dict.fromkeys(name for result in ordered for name in result.flags)
        },
    }


def read_summary(folder: Path) -> EvalSummary:
    """Reads ``summary.json`` of an evaluation folder.

    Raises:
        RunError: there is none, or it is not a summary.
    """
    path = folder / SUMMARY
    if not path.is_file():
        raise RunError(
            f"an evaluation folder must hold {SUMMARY}",
            received=str(folder),
            remedy="run `mfpolicy eval` again to finish the evaluation",
        )
    try:
        fields = json.loads(path.read_text())
        fields["seeds"] = tuple(fields["seeds"])
        for key in ("success_any", "success_end"):
            fields[key] = _rate(fields[key])
        fields["flags"] = {name: _rate(rate) for name, rate in fields.get("flags", {}).items()}
        return EvalSummary(**fields)
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(
            f"{path} must be an evaluation summary of schema {SCHEMA}",
            received=str(error),
            remedy="delete it, and run `mfpolicy eval` again; finished episodes are kept",
        ) from error


def _rate(values: dict[str, Any]) -> SuccessRate:
    return SuccessRate(**{**values, "interval": tuple(values["interval"])})
