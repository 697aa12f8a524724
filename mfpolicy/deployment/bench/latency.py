"""One run of the latency benchmark: everybody in turn on the same machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mfpolicy.deployment.bench.cold import cold_start
from mfpolicy.deployment.bench.contenders import Contender
from mfpolicy.deployment.bench.load import busy_processes
from mfpolicy.deployment.bench.measure import (
    Decide,
    interleaved,
    observation_for,
    percentiles,
    read_bandwidth_gb_s,
)
from mfpolicy.deployment.bench.reference import ReferenceDecider


@dataclass(frozen=True)
class Row:
    """What was measured of one contender.

    Attributes:
        policy, backend, precision, batch, threads: who it is.
        steps: network evaluations of a decision (NFE).
        latency_ms: percentiles by stage.
        weight_mb: bytes of the weights that one evaluation of the network reads, 10⁶.
        floor_ms: reading them once at the measured bandwidth, for every evaluation; a network that
            fits the cache can be faster.
        cold: see :func:`mfpolicy.deployment.bench.cold.cold_start`; empty if it was not measured.
        samples_ms: every total, for figures.
    """

    policy: str
    backend: str
    precision: str
    batch: int
    threads: int
    steps: int
    weight_mb: float
    floor_ms: float
    latency_ms: dict[str, dict[str, float]]
    cold: dict[str, float]
    samples_ms: np.ndarray

    def record(self) -> dict[str, Any]:
        """As JSON-able values, without the samples."""
        values = asdict(self)
        values.pop("samples_ms")
        return values


def measure_latency(
    entrants: Sequence[Contender],
    *,
    decisions: int,
    busy: int = 0,
    cold: bool = True,
    reference: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Times every contender, interleaved.

    Args:
        entrants: who is timed.
        decisions: of each.
        busy: other processes that keep a core busy meanwhile.
        cold: measure cold start and memory as well, in a process for each.
        reference: checkout of LogSSim/MP1, whose own policy is timed too, at the paper's size.
        progress: told what is going on.

    Raises:
        ConfigError, RunError, BackendError: a policy cannot be built or compiled so.
    """
    random = np.random.default_rng(0)
    entered: list[_Entered] = []
    for entrant in entrants:
        progress(f"compiling {entrant.label}")
        entered.append(_ours(entrant, random))
    counts = sorted({entrant.threads for entrant in entrants})
    if reference is not None:
        theirs = ReferenceDecider(reference, entrants[0].state_dim, entrants[0].action_dim)
        entered += [_theirs(theirs, threads, random) for threads in counts]
    progress(f"timing {decisions} decisions of each of {len(entered)}")
    turns = [(e.decide, partial(torch.set_num_threads, e.threads), e.observation) for e in entered]
    with busy_processes(busy):
        samples = interleaved(turns, decisions=decisions)
    bandwidth = {threads: read_bandwidth_gb_s(threads) for threads in counts}
    colds: list[dict[str, float]] = [{} for _ in entered]
    for index, entrant in enumerate(entrants if cold else ()):
        progress(f"cold start of {entrant.label}")
        colds[index] = cold_start(entrant)
    return [
        Row(
            *one.who,
            weight_mb=one.weight_mb,
            floor_ms=one.steps * one.weight_mb / bandwidth[one.threads],
            latency_ms={stage: percentiles(values) for stage, values in stages.items()},
            cold=started,
            samples_ms=stages["total"],
        )
        for one, stages, started in zip(entered, samples, colds, strict=True)
    ]


@dataclass(frozen=True)
class _Entered:
    """Somebody who is ready: ``who`` is the first fields of their row."""

    decide: Decide
    observation: Mapping[str, np.ndarray]
    who: tuple[str, str, str, int, int, int]
    weight_mb: float

    @property
    def threads(self) -> int:
        return self.who[4]

    @property
    def steps(self) -> int:
        return self.who[5]


def _ours(entrant: Contender, random: np.random.Generator) -> _Entered:
    runtime = entrant.compile()
    kind = (entrant.policy, runtime.backend, entrant.precision)
    who = (*kind, runtime.batch, entrant.threads, runtime.steps)
    return _Entered(runtime, observation_for(runtime, random), who, runtime.weight_bytes / 1e6)


def _theirs(policy: ReferenceDecider, threads: int, random: np.random.Generator) -> _Entered:
    who = ("the repository's MP1", "eager", "float32", 1, threads, 1)
    return _Entered(policy, policy.observation(random), who, policy.weight_mb)
