"""Times decisions of several policies in turn, so that a change of the machine meets them all."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from mfpolicy.deployment.runtime import Runtime
from mfpolicy.pointcloud import sample

Decide = Callable[[Mapping[str, np.ndarray]], np.ndarray]
STAGES = ("total", "copy", "encoder", "network")
"""``total``: host observation in to host actions out. ``copy``: checks, copies and noise.
``encoder`` and ``network`` where a backend tells them apart, else ``network`` is both."""
PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}
WARM = 3


def observation_for(runtime: Runtime, random: np.random.Generator) -> dict[str, np.ndarray]:
    """A random observation of the right size, (B, To, P, C) and (B, To, S)."""
    spec = runtime.spec
    lead = (runtime.batch, spec.n_obs_steps)
    cloud = random.random((*lead, spec.points or 512, spec.point_dim), np.float32)
    if spec.color:
        cloud[..., 3:] *= 255
    return {
        "point_cloud": cloud,
        "agent_pos": random.random((*lead, spec.state_dim), np.float32),
    }


def interleaved(
    deciders: Sequence[tuple[Decide, Callable[[], None], Mapping[str, np.ndarray]]],
    *,
    decisions: int,
    turn: int = 20,
) -> list[dict[str, np.ndarray]]:
    """Times ``decisions`` decisions of each, ``turn`` at a time.

    Args:
        deciders: each a function to time, what to do before its turn, and its observation.
        decisions: at least so many of each.
        turn: decisions in a row; before them a few that are not counted, since the caches and
            threads are another's.

    Returns:
        For each the milliseconds of every decision by stage, (n,).
    """
    samples: list[dict[str, list[float]]] = [defaultdict(list) for _ in deciders]
    for _ in range(-(-decisions // turn)):
        for (decide, before, observation), own in zip(deciders, samples, strict=True):
            before()
            for index in range(WARM + turn):
                start_ns = time.perf_counter_ns()
                decide(observation)
                end_ns = time.perf_counter_ns()
                if index >= WARM:
                    for stage, spent_ms in _stages(decide, start_ns, end_ns):
                        own[stage].append(spent_ms)
    return [{stage: np.array(values) for stage, values in own.items()} for own in samples]


def _stages(decide: Decide, start_ns: int, end_ns: int) -> list[tuple[str, float]]:
    total = (end_ns - start_ns) / 1e6
    if not isinstance(decide, Runtime):
        return [("total", total)]
    begun_ns, encoded_ns, done_ns = decide.marks_ns
    stages = [("total", total), ("copy", total - (done_ns - begun_ns) / 1e6)]
    if encoded_ns is not None:
        stages.append(("encoder", (encoded_ns - begun_ns) / 1e6))
    return [*stages, ("network", (done_ns - (encoded_ns or begun_ns)) / 1e6)]


def read_bandwidth_gb_s(threads: int, *, mib: int = 512, repeats: int = 20) -> float:
    """The most gigabytes a second that ``threads`` threads read from memory, in one long sum."""
    torch.set_num_threads(threads)
    values = torch.ones(mib * 2**18)
    best_s = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        values.sum()
        best_s = min(best_s, time.perf_counter() - start)
    return values.numel() * 4 / best_s / 1e9


def sampling_ms(count: int, *, points: int = 84 * 84, repeats: int = 100) -> np.ndarray:
    """Milliseconds of farthest-point sampling of ``count`` of as many points as an image has.

    It is done once a frame, before a decision.
    """
    cloud = np.random.default_rng(0).random((points, 3), np.float32)
    spent = []
    for _ in range(repeats):
        start_ns = time.perf_counter_ns()
        sample(cloud, count)
        spent.append((time.perf_counter_ns() - start_ns) / 1e6)
    return np.array(spent)


def percentiles(samples: np.ndarray) -> dict[str, float]:
    """p50 to max and the number of samples; percentiles interpolate between order statistics."""
    values = np.percentile(samples, list(PERCENTILES.values()))
    return {**dict(zip(PERCENTILES, values.tolist(), strict=True)), "n": len(samples)}
