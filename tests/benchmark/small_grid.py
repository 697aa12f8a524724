"""A benchmark of one method on two tasks without a simulator.

Demonstrations and outcomes are those of the oracles' task, the trainings between them are real.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import envs
from mfpolicy.benchmark import CellRecord
from mfpolicy.config import Benchmark, compose_benchmark, to_mapping
from mfpolicy.data import DatasetSpec, DatasetWriter
from mfpolicy.evaluation.machine import machine_facts, package_versions
from mfpolicy.evaluation.records import open_log
from mfpolicy.evaluation.run_folder import checkpoint_step, weights_sha256
from mfpolicy.evaluation.summary import EvalSummary, outcome_fields
from mfpolicy.policy import load_policy, read_spec
from mfpolicy.types import EpisodeResult
from oracles.demonstrations import ACTION_DIM, POINTS, RECIPE, STATE_DIM, episode

TASKS = ("metaworld/drawer-open", "metaworld/reach")
WORDS = (
    "suite=metaworld_50",
    f"tasks={','.join(TASKS)}",
    "methods=mip",
    "demonstrations=2",
    "episodes=3",
    "threads=1",
    "device=cpu",
    "policy.points=32",
    "network.width=16",
    "network.depth=1",
    "encoder.widths=[16,16]",
    "training.steps=6",
    "training.batch_size=8",
    "training.checkpoint_every=2",
    "training.log_every=2",
)


def small(out: Path, *more: str) -> Benchmark:
    """The benchmark in a folder, later words winning."""
    words = {word.partition("=")[0]: word for word in (*WORDS, f"out={out}", *more)}
    return composed(*words.values())


def composed(*words: str) -> Benchmark:
    """What the command makes of the words."""
    difficulties = {spec.name: spec.difficulty for spec in envs.tasks()}
    return compose_benchmark(words, difficulties=difficulties, sets=envs.task_sets())


def told(record: CellRecord) -> dict:
    """What a record says, apart from times and how long things took."""
    values = to_mapping(record)
    del values["time"], values["collected"]["seconds"]
    for key in ("seconds", "samples_per_s"):
        del values["training"][key]
    for evaluation in values["evaluations"].values():
        del evaluation["seconds"]
    return values


def collect(task: str, path: Path, episodes: int) -> None:
    """Goes on with the oracle's demonstrations, one after another."""
    spec = DatasetSpec(
        task=task,
        control_rate_hz=80.0,
        expert="scripted",
        recipe=RECIPE,
        camera=None,
        state_dim=STATE_DIM,
        action_dim=ACTION_DIM,
        points=POINTS,
    )
    with DatasetWriter.open(path, spec) as writer:
        while writer.episode_count < episodes:
            writer.append(episode(writer.episode_count))


def evaluate(
    run: Path,
    episodes: int,
    workers: int | None,
    device: str,
    name: str = "benchmark",
    perturbation: Mapping[str, Any] | None = None,
) -> EvalSummary:
    """One decision an episode: a success where the policy moves towards the target."""
    del workers
    moved_m = (perturbation or {}).get("distance_cm", 0) / 100
    sha256 = weights_sha256(run)
    policy = load_policy(run, device)
    with open_log(run / "eval" / name, {"weights_sha256": sha256}) as log:
        for seed in range(10_000, 10_000 + episodes):
            if seed not in log.results:
                log.append(_episode(policy, seed, moved_m))
        results = [log.results[seed] for seed in range(10_000, 10_000 + episodes)]
    summary = EvalSummary(
        name=name,
        run=str(run),
        task=str(read_spec(run).task),
        checkpoint_step=checkpoint_step(run),
        weights_sha256=sha256,
        perturbation=None if perturbation is None else dict(perturbation),
        nfe=policy.objective.check_steps(None),
        device=device,
        new_episodes=episodes,
        workers=1,
        threads=1,
        wall_seconds=0.5,
        machine=machine_facts(device),
        packages=package_versions(),
        date=datetime.datetime.now(datetime.UTC).isoformat(),
        **outcome_fields(results),
    )
    summary.save()
    return summary


def _episode(policy, seed: int, moved_m: float) -> EpisodeResult:
    shown = episode(seed, 2)
    seen = {
        "point_cloud": shown.point_cloud[None] + np.float32(moved_m),
        "agent_pos": shown.agent_pos[None],
    }
    drawn = torch.Generator().manual_seed(seed)
    action = policy.predict(seen, generator=drawn)[0, 0].numpy()  # (A,)
    along = float(action[:3] @ shown.action[1, :3])
    times = {stage: [1.0] for stage in ("points", "copy", "encoder", "network", "total")}
    return EpisodeResult(seed, along > 0, along > 0.5, 1, along, latencies_ms=times)
