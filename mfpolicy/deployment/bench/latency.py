"""One run of the latency benchmark: everybody in turn on the same machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    deciders: list[Any] = []
    facts: list[tuple[Any, ...]] = []
    counts = {entrant.threads for entrant in entrants}
    bandwidth = {threads: read_bandwidth_gb_s(threads) for threads in counts}
    for entrant in entrants:
        progress(f"compiling {entrant.label}")
        runtime = entrant.compile()
        observation = observation_for(runtime, random)
        deciders.append((runtime, partial(torch.set_num_threads, entrant.threads), observation))
        who = (entrant.policy, runtime.backend, entrant.precision, runtime.batch, entrant.threads)
        weight_mb = runtime.weight_bytes / 1e6
        floor_ms = runtime.steps * weight_mb / bandwidth[entrant.threads]
        facts.append((*who, runtime.steps, weight_mb, floor_ms))
    if reference is not None:
        theirs = ReferenceDecider(reference, entrants[0].state_dim, entrants[0].action_dim)
        for threads in sorted(counts):
            deciders.append(
                (theirs, partial(torch.set_num_threads, threads), theirs.observation(random))
            )
            who = ("the repository's MP1", "eager", "float32", 1, threads, 1)
            facts.append((*who, theirs.weight_mb, theirs.weight_mb / bandwidth[threads]))
    progress(f"timing {decisions} decisions of each of {len(deciders)}")
    with busy_processes(busy):
        samples = interleaved(deciders, decisions=decisions)
    colds: list[dict[str, float]] = [{} for _ in facts]
    deciders.clear()  # their memory is not to stand in the way of those that come
    if cold:
        for index, entrant in enumerate(entrants):
            progress(f"cold start of {entrant.label}")
            colds[index] = cold_start(entrant)
    return [
        Row(
            *fact,
            latency_ms={stage: percentiles(values) for stage, values in stages.items()},
            cold=started,
            samples_ms=stages["total"],
        )
        for fact, stages, started in zip(facts, samples, colds, strict=True)
    ]
