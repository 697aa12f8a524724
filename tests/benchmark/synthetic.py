"""Records without a simulation: outcomes drawn with a given chance, times that are made up."""

from __future__ import annotations

import zlib

import numpy as np

from mfpolicy.benchmark.record import (
    CellRecord,
    Collected,
    CurvePoint,
    Evaluation,
    Outcome,
    Trained,
)

GROUPS = {
    "metaworld/drawer-open": "easy",
    "metaworld/lever-pull": "easy",
    "metaworld/push": "hard",
    "adroit/pen": "adroit",
}
CHANCES = {"mp1": 0.7, "mp1_plus": 0.95, "dp3": 0.45}
LATENCY_MS = {"mp1": 1.2, "mp1_plus": 1.3, "dp3": 11.0}


def episodes(name: str, chance: float, seeds=range(10_000, 10_040)) -> tuple[Outcome, ...]:
    """Every initial state is as hard for all methods, so that pairs mean something."""
    hard = np.random.default_rng(5).normal(size=100_000)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    logit = np.log(chance / (1 - chance))
    found = []
    for seed in seeds:
        up = bool(rng.random() < 1 / (1 + np.exp(-logit - hard[seed])))
        stays = bool(up and rng.random() < 0.9)
        found.append(Outcome(seed, up, stays, 200, float(up)))
    return tuple(found)


def cell(
    method: str,
    task: str,
    seed: int = 0,
    *,
    chance: float | None = None,
    demonstrations: int = 10,
    seeds=range(10_000, 10_040),
    perturbed: dict[str, float] | None = None,
    steps: tuple[int, ...] = (),
    **more,
) -> CellRecord:
    """A record; ``perturbed`` names evaluations with their chance, ``steps`` those of a curve."""
    chance = chance or CHANCES.get(method, 0.5)
    name = f"{method} {task} {seed} {demonstrations}"
    p50 = LATENCY_MS.get(method, 2.0)
    times = {"p50": p50, "p95": 1.2 * p50, "p99": 1.5 * p50, "max": 3 * p50, "stages": {}}
    evaluations = {"last": Evaluation({}, 20.0, episodes(name, chance, seeds), times)}
    for condition, there in (perturbed or {}).items():
        ends = episodes(name + condition, there, seeds)
        evaluations[condition] = Evaluation({condition: 1}, 20.0, ends)
    values = {
        "task": task,
        "difficulty": GROUPS.get(task, "easy"),
        "method": method,
        "seed": seed,
        "demonstrations": demonstrations,
        "overrides": (f"policy={method}",),
        "config": {"training.steps": 1000},
        "parameters": {"encoder": 64_000, "network": 1_548_000},
        "nfe": 10 if method == "dp3" else 1,
        "collected": Collected(demonstrations, 985, demonstrations, 23.4, (0,)),
        "training": Trained(1000, 64, 250.0, 260.0, 0.01),
        "evaluations": evaluations,
        "curve": tuple(
            CurvePoint(step, episodes(f"{name} {step}", chance * step / max(steps), seeds[:20]))
            for step in steps
        ),
        "machine": {"cpu": "synthetic", "cores": 2},
        "packages": {},
        "commit": None,
        "time": "2026-11-27T12:00:00+00:00",
    }
    return CellRecord(**(values | more))


def grid() -> list[CellRecord]:
    """20 cells: 3 methods, 4 tasks, two training seeds of two methods; dp3 lacks a task."""
    steps = (200, 400, 600, 800, 1000)
    found = []
    for task in GROUPS:
        for seed in (0, 1):
            noise = {"cloud_noise_5mm": 0.5, "camera_2cm": 0.3}
            found.append(cell("mp1", task, seed, perturbed=noise, steps=steps))
            found.append(cell("mp1_plus", task, seed, perturbed={"cloud_noise_5mm": 0.9}))
    found += [cell("dp3", task, chance=0.3) for task in list(GROUPS)[:3]]
    found.append(
        cell("mp1_plus", "metaworld/push", demonstrations=3, chance=0.6, steps=(500, 1000))
    )
    return found
