"""What weights in 16 and 8 bits cost: action error, success, size and time of a decision.

Takes a trained run and the dataset it was trained on. The error is that of ONNX Runtime and of the
packed runtime beside the eager policy under the same noise, over all windows of the demonstrations;
success is counted on the same seeds; times are of one core, in turn, so that a change of the
machine's speed meets them all. Goes on where it stopped, and writes ``<out>.json`` and
``<out>.md``:

    python -m benchmarks.deployment.precision --run runs/drawer-open --data data/drawer-open.zarr \\
        --out benchmarks/results/2026-11-24-precision
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import mfpolicy
from benchmarks.cells import FIRST_SEED, machine
from mfpolicy.cli.eval import environment_of
from mfpolicy.config import compose
from mfpolicy.data import open_dataset
from mfpolicy.data.dataset import WindowDataset
from mfpolicy.deployment.backends import PackedBackend
from mfpolicy.deployment.export import export_policy
from mfpolicy.deployment.export.parity import random_inputs, relative_error
from mfpolicy.deployment.onnx_policy import OnnxPolicy, load_onnx
from mfpolicy.evaluation.compiled import CompiledRollout
from mfpolicy.evaluation.rollout import run_episode
from mfpolicy.evaluation.statistics import success_rate
from mfpolicy.policy import Policy, load_policy, save_policy

PRECISIONS = ("float32", "float16", "int8")
SIZES = ("mp1_small", "mp1")
STATE_DIM, ACTION_DIM = 9, 4  # Meta-World's
ROUNDS, REPEATS = 40, 5


@dataclass(frozen=True)
class ErrorRow:
    """|Δaction| relative to the width of each channel's range, over the demonstrations' windows."""

    backend: str
    size_mb: float
    windows: int
    mean: float
    p99: float
    maximum: float


@dataclass(frozen=True)
class TimeRow:
    """Milliseconds of one decision, batch 1, one core; weights untrained."""

    preset: str
    backend: str
    size_mb: float
    fastest_ms: float
    p50_ms: float


class Decider:
    """An ONNX policy as an evaluation asks for it; noise as the eager policy draws it."""

    def __init__(self, policy: OnnxPolicy, eager: Policy) -> None:
        self.spec, self._policy, self._noise = policy.spec, policy, eager.objective.noise

    def parameters(self) -> list[torch.nn.Parameter]:
        return []

    def prepare(self, observation: Mapping[str, Any]) -> Mapping[str, Any]:
        return observation

    def encode(self, prepared: Mapping[str, Any]) -> Mapping[str, Any]:
        return prepared

    def decode(
        self,
        condition: Mapping[str, Any],
        *,
        steps: int,
        generator: torch.Generator,
        noise_scale: float,
        guidance_scale: float | None,
    ) -> torch.Tensor:
        assert (noise_scale, guidance_scale) == (1.0, None)  # as exported
        shape = (1, self.spec.horizon, self.spec.action_dim)
        noise = self._noise.draw(shape, generator=generator).numpy()
        return torch.from_numpy(self._policy(condition, noise=noise))


def errors(policy: Policy, data: Path, exports: Mapping[str, Path]) -> list[ErrorRow]:
    """One row a precision."""
    spec = policy.spec
    windows = WindowDataset(
        open_dataset(data),
        n_obs_steps=spec.n_obs_steps,
        horizon=spec.horizon,
        n_action_steps=spec.n_action_steps,
        points=spec.points,
    )
    seen = windows.batch(torch.arange(len(windows)))
    frames = {"point_cloud": seen.point_cloud, "agent_pos": seen.agent_pos}
    generator = torch.Generator().manual_seed(0)
    shape = (len(windows), spec.horizon, spec.action_dim)
    noise = policy.objective.noise.draw(shape, generator=generator)
    expected = policy.predict(frames, noise=noise).numpy()
    rows = []
    for name, (decide, size_mb) in deciders(policy, exports, len(windows)).items():
        error = relative_error(policy, decide(frames, noise=noise.numpy()), expected)
        p99, most = float(np.quantile(error, 0.99)), float(error.max())
        rows.append(ErrorRow(name, size_mb, len(windows), float(error.mean()), p99, most))
    return rows


def deciders(
    policy: Policy, exports: Mapping[str, Path], batch: int
) -> dict[str, tuple[Callable[..., np.ndarray], float]]:
    """Everything in less than PyTorch's precision or form, with the megabytes of its weights."""
    found: dict[str, tuple[Callable[..., np.ndarray], float]] = {
        f"ONNX Runtime, {precision}": (load_onnx(path, threads=1), path.stat().st_size / 1e6)
        for precision, path in exports.items()
    }
    for precision in PackedBackend.precisions:
        runtime = policy.compile(backend="packed", precision=precision, batch=batch, threads=1)
        found[f"packed, {precision}"] = (runtime, runtime.weight_bytes / 1e6)
    return found


def times(folder: Path) -> list[TimeRow]:
    """One row a preset and precision."""
    rows = []
    for preset in SIZES:
        policy = mfpolicy.build_policy(
            preset, point_dim=3, state_dim=STATE_DIM, action_dim=ACTION_DIM
        ).eval()
        save_policy(policy, folder / preset)
        drawn = random_inputs(policy, 1, torch.Generator().manual_seed(0))
        exports = export_all(folder / preset)
        found = deciders(policy, exports, 1)
        functions = {name: decide for name, (decide, _) in found.items()}
        for name, ms in timed(functions, *(value.numpy() for value in drawn)).items():
            p50 = float(np.median(ms))
            rows.append(TimeRow(preset, name, found[name][1], float(min(ms)), p50))
    return rows


def timed(
    functions: Mapping[str, Callable[..., np.ndarray]],
    cloud: np.ndarray,
    state: np.ndarray,
    noise: np.ndarray,
) -> dict[str, list[float]]:
    """Milliseconds of each, in turns."""
    frames = {"point_cloud": cloud, "agent_pos": state}
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(ROUNDS):
        for name, decide in functions.items():
            decide(frames, noise=noise)  # the caches are another's after a change
            for _ in range(REPEATS):
                start = time.perf_counter()
                decide(frames, noise=noise)
                taken[name].append(1e3 * (time.perf_counter() - start))
    return taken


def export_all(run: Path, folder: Path | None = None) -> dict[str, Path]:
    """The run in every precision, in the folder."""
    folder = folder or run
    return {
        precision: export_policy(run, folder / f"{precision}.onnx", precision=precision).path
        for precision in PRECISIONS
    }


def table(facts: dict[str, Any]) -> str:
    """Everything that was measured as Markdown."""
    parts = [
        f"`{facts['task']}`, {facts['preset']} with {facts['objective']}; {facts['machine']}.",
        _rows("| backend | weights | action error, mean | p99 | maximum |", _error_cells(facts)),
        f"Errors are |Δaction| beside the eager policy under the same noise, relative to the width "
        f"of each channel's range, over {facts['errors'][0]['windows']} windows of the "
        "demonstrations.",
    ]
    if facts["success"]:
        cells = [[name, str(success_rate(done))] for name, done in facts["success"].items()]
        parts.append(_rows("| backend | success, same seeds |", cells))
    if "times" in facts:
        heading = "| preset | backend | weights | fastest decision | p50 |"
        parts.append(_rows(heading, _time_cells(facts)))
        parts.append(f"Times: one core, batch 1, untrained weights. {facts['load']}")
    return "\n\n".join(parts) + "\n"


def _error_cells(facts: dict[str, Any]) -> list[list[str]]:
    return [
        [row["backend"], f"{row['size_mb']:.1f} MB"]
        + [f"{row[key]:.1e}" for key in ("mean", "p99", "maximum")]
        for row in facts["errors"]
    ]


def _time_cells(facts: dict[str, Any]) -> list[list[str]]:
    return [
        [row["preset"], row["backend"], f"{row['size_mb']:.1f} MB"]
        + [f"{row[key]:.2f} ms" for key in ("fastest_ms", "p50_ms")]
        for row in facts["times"]
    ]


def _rows(heading: str, cells: list[list[str]]) -> str:
    rule = "|" + "---|" * (heading.count("|") - 1)
    return "\n".join([heading, rule, *("| " + " | ".join(row) + " |" for row in cells)])


def count_successes(
    policy: Policy,
    exports: Mapping[str, Path],
    run: Path,
    outcomes: dict[str, list[bool]],
    episodes: int,
) -> Iterator[None]:
    """Adds an episode of every backend at each step, on the seeds that follow those it has."""
    backends: dict[str, Any] = {"PyTorch, float32": policy}
    for precision, path in exports.items():
        backends[f"ONNX Runtime, {precision}"] = Decider(load_onnx(path, threads=1), policy)
    scales = {"noise_scale": 1.0, "guidance_scale": None}
    for precision in PackedBackend.precisions:
        compiled = {"backend": "packed", "precision": precision}
        steps = policy.objective.default_steps
        backends[f"packed, {precision}"] = CompiledRollout(policy, compiled, steps=steps, **scales)
    env = environment_of(compose("eval", [str(run)]))()
    done = min((len(outcomes.get(name, [])) for name in backends), default=0)
    for seed in range(FIRST_SEED + done, FIRST_SEED + episodes):
        for name, backend in backends.items():
            known = outcomes.setdefault(name, [])
            if len(known) == seed - FIRST_SEED:
                known.append(run_episode(env, backend, seed).success_any)
        yield
    env.close()


def main() -> None:
    """Measures what is missing and writes the result, anew after every part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--load", default="Nothing else ran.", help="what else the machine did")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    policy = load_policy(given.run)
    record = given.out.with_suffix(".json")
    facts: dict[str, Any] = json.loads(record.read_text()) if record.is_file() else {}
    facts |= {
        "task": policy.spec.task,
        "preset": policy.spec.preset,
        "objective": policy.spec.objective["name"],
        "machine": machine(),
    }
    facts.setdefault("success", {})

    def write() -> None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(facts) + "\n")
        given.out.with_suffix(".md").write_text(table(facts))

    with tempfile.TemporaryDirectory() as temporary:
        exports = export_all(given.run, Path(temporary))
        if "errors" not in facts:
            facts["errors"] = [asdict(row) for row in errors(policy, given.data, exports)]
            write()
        if "times" not in facts:
            facts |= {"times": [asdict(row) for row in times(Path(temporary))], "load": given.load}
            write()
        for _ in count_successes(policy, exports, given.run, facts["success"], given.episodes):
            write()


if __name__ == "__main__":
    main()
