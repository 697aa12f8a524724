"""Size and latency of every pair of encoder and network, interleaved in one run on one thread.

Every candidate is timed as ``policy.compile()`` runs it and, with ``--onnx``, as ONNX Runtime runs
its exported graph, in short turns one after another, so that a change of the machine meets them
all:

    python -m benchmarks.encoders.latency --onnx \\
        --out benchmarks/results/2026-11-28-encoders-latency

Besides the time on the clock, from host observation to host actions, it reports the processor time
of a decision, which other processes change little, and that of a training step.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.encoders.candidates import BASELINE, CANDIDATES, build
from benchmarks.provenance import provenance
from mfpolicy.deployment.bench.measure import interleaved, observation_for, percentiles
from mfpolicy.deployment.export import export_policy
from mfpolicy.deployment.onnx_policy import load_onnx
from mfpolicy.policy import Policy, save_policy
from mfpolicy.types import Batch

BATCH = 64
TRAINING_STEPS = 6


@dataclass(frozen=True)
class Measured:
    """One candidate on one backend.

    Attributes:
        candidate, backend: who.
        encoder_weights, network_weights: parameters.
        wall_ms: percentiles of a decision on the clock.
        cpu_ms: median processor time of a decision.
        step_cpu_ms: median processor time of a training step without the optimizer's.
        error: largest difference of an action to the policy's own, whose range is about 2.
    """

    candidate: str
    backend: str
    encoder_weights: int
    network_weights: int
    wall_ms: dict[str, float]
    cpu_ms: float
    step_cpu_ms: float
    error: float


class Timed:
    """A decider that notes the processor time of each of its decisions."""

    def __init__(self, decide: Callable[[Mapping[str, np.ndarray]], np.ndarray]) -> None:
        self.decide = decide
        self.spent_ms: list[float] = []

    def __call__(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        """Decides."""
        start_ns = time.thread_time_ns()
        actions = self.decide(observation)
        self.spent_ms.append((time.thread_time_ns() - start_ns) / 1e6)
        return actions


def training_step_cpu_ms(policy: Policy) -> float:
    """Median processor time of loss and gradient of a batch of 64 windows, each frame its own."""
    spec, drawn = policy.spec, torch.Generator().manual_seed(0)
    shapes = {
        "point_cloud": (BATCH, spec.n_obs_steps, spec.points or 256, spec.point_dim),
        "agent_pos": (BATCH, spec.n_obs_steps, spec.state_dim),
        "action": (BATCH, spec.horizon, spec.action_dim),
    }
    values = {name: torch.rand(shape, generator=drawn) for name, shape in shapes.items()}
    whole = {"episode": torch.zeros(BATCH, dtype=torch.int64), "step": torch.arange(BATCH)}
    batch, spent = Batch(**values, **whole), []
    for _ in range(TRAINING_STEPS):
        start_ns = time.process_time_ns()
        policy.loss(batch, drawn)[0].backward()
        policy.zero_grad(set_to_none=True)
        spent.append((time.process_time_ns() - start_ns) / 1e6)
    return float(np.median(spent[1:]))


def measure(names: list[str], *, decisions: int, onnx: bool) -> list[Measured]:
    """Builds, compiles and times the candidates."""
    entered, about = [], []
    for name in names:
        torch.manual_seed(0)
        policy = build(name)
        runtime = policy.compile(threads=1)
        observation = observation_for(runtime, np.random.default_rng(0))
        sizes = [sum(p.numel() for p in m.parameters()) for m in (policy.encoder, policy.network)]
        step = training_step_cpu_ms(policy)
        deciders: dict[str, Any] = {runtime.backend: runtime}
        if onnx:
            deciders["onnx"] = _exported(policy)
        spec = policy.spec
        noise = np.random.default_rng(1).standard_normal((1, spec.horizon, spec.action_dim))
        expected = policy.predict(observation, noise=torch.from_numpy(noise).float()).numpy()
        for backend, decide in deciders.items():
            actions = decide(observation, noise=noise.astype(np.float32))
            error = float(np.abs(actions - expected).max())
            about.append((name, backend, *sizes, step, error))
            entered.append((Timed(decide), lambda: torch.set_num_threads(1), observation))
        print(f"{name}: {', '.join(deciders)}", flush=True)
    samples = interleaved(entered, decisions=decisions)
    return [
        Measured(
            candidate=name,
            backend=backend,
            encoder_weights=encoder,
            network_weights=network,
            wall_ms=percentiles(spent["total"]),
            cpu_ms=float(np.median(timed.spent_ms)),
            step_cpu_ms=step,
            error=error,
        )
        for (name, backend, encoder, network, step, error), (timed, _, _), spent in zip(
            about, entered, samples, strict=True
        )
    ]


def _exported(policy: Policy) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        save_policy(policy, folder)
        return load_onnx(export_policy(folder).path, threads=1)


def table(rows: list[Measured], about: Mapping[str, Any]) -> str:
    """The result as Markdown."""
    first = next((r for r in rows if r.candidate == BASELINE), rows[0])
    words = ", ".join(f"{key} {value}" for key, value in about["machine"].items())
    lines = [
        "`mp1_mixer` with other encoders and networks, untrained, batch 1, one thread, host "
        f"observation in to host actions out, {rows[0].wall_ms['n']:.0f} decisions of each in "
        "turns of 20. `packed` and `eager` are what `policy.compile()` chose; `onnx` is ONNX "
        "Runtime. Processor time (CPU) is of the deciding thread, and of a training step of 64 "
        f"windows without the optimizer's. Load of the machine: {about['load']}; where more "
        "processes than cores want one, times on the clock are mostly waiting, and caches are "
        f"shared: compare by processor time, and within this table. {words}, commit "
        f"{about['commit']}.",
        "",
        "| encoder+network | backend | encoder, 10³ | network, 10³ | p50, ms | p95, ms | CPU, ms "
        "| to the first | training step CPU, ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = [row.encoder_weights / 1e3, row.network_weights / 1e3]
        lines.append(
            f"| {row.candidate} | {row.backend} | "
            + " | ".join(f"{number:.0f}" for number in numbers)
            + f" | {row.wall_ms['p50']:.2f} | {row.wall_ms['p95']:.2f} | {row.cpu_ms:.2f} "
            f"| {row.cpu_ms / first.cpu_ms:.2f} × | {row.step_cpu_ms:.0f} |"
        )
    worst = max(row.error for row in rows)
    lines += ["", f"Largest difference of an action to the policy's own: {worst:.1e}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--candidates", nargs="+", default=list(CANDIDATES), choices=CANDIDATES)
    parser.add_argument("--decisions", type=int, default=400)
    parser.add_argument("--onnx", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(given.candidates, decisions=given.decisions, onnx=given.onnx)
    load = f"{os.getloadavg()[0]:.1f} processes wanted a core over the last minute"
    about = provenance()
    about["load"] = load
    given.out.parent.mkdir(parents=True, exist_ok=True)
    content = {**about, "rows": [asdict(row) for row in rows]}
    given.out.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    given.out.with_suffix(".md").write_text(table(rows, about))


if __name__ == "__main__":
    main()
