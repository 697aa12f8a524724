"""Evaluates a run: seeded episodes in parallel workers, a record on disk, a summary."""

from __future__ import annotations

import datetime
import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mfpolicy.errors import ConfigError
from mfpolicy.evaluation import perturbed
from mfpolicy.evaluation.conditions import Conditions, whole_execution
from mfpolicy.evaluation.machine import machine_facts, package_versions
from mfpolicy.evaluation.records import SUMMARY, EpisodeLog, fresh_name, open_log
from mfpolicy.evaluation.report import illustrate
from mfpolicy.evaluation.run_folder import check_run, check_unseen, checkpoint_step, weights_sha256
from mfpolicy.evaluation.services import EpisodeService, MakeEnv
from mfpolicy.evaluation.summary import EvalSummary, outcome_fields, read_summary
from mfpolicy.evaluation.workers import WorkerPool, available_cores
from mfpolicy.types import EpisodeResult

ACCELERATOR_WORKERS = 4
"""Most workers by default on an accelerator, where each holds a context of its own."""

Progress = Callable[[int, int, EpisodeResult], None]
"""Called for each episode, those on disk first, with how many are done, how many in all, and it."""


def evaluate(
    run: str | Path,
    make_env: MakeEnv,
    *,
    episodes: int = 100,
    seed: int = 10000,
    workers: int | None = None,
    device: str = "cpu",
    steps: int | None = None,
    noise_scale: float = 1.0,
    guidance_scale: float | None = None,
    execution: Mapping[str, Any] | None = None,
    latency_ms: float = 0.0,
    compiled: Mapping[str, str] | None = None,
    videos: bool = True,
    name: str | None = None,
    task: str | None = None,
    progress: Progress | None = None,
) -> EvalSummary:
    """Measures a run's success rate and latency over ``episodes`` seeds from ``seed`` on.

    Episodes run in ``spawn`` processes; an episode depends on its seed alone, so neither their
    number nor the order changes a result. Each finished episode goes to ``episodes.jsonl`` at
    once. The same call again runs only the seeds that are missing. Settings that decide an
    outcome (weights, task and its horizon, point-cloud recipe, perturbation, first seed, NFE,
    scales of noise and guidance, execution and latency, device) are kept beside it: under a
    ``name`` of yours other settings are refused, without a name they get a fresh folder
    (``…-2``).

    Args:
        run: folder of a trained policy.
        make_env: picklable callable that builds the environment, such as
            ``functools.partial(envs.make, "metaworld/drawer-open")``; takes
            ``render_mode="rgb_array"`` if videos are wanted. What it perturbs it says itself, in
            an attribute ``perturbation``.
        episodes: number of seeds.
        seed: the first seed.
        workers: processes; by default one a core, at most four on an accelerator.
        device: torch device of the policy in each worker.
        steps: network evaluations a decision (NFE); None takes the objective's default.
        noise_scale: factor on the noise that a chunk starts from; 0 leaves its centre.
        guidance_scale: of a network that takes it as an input; None takes the objective's.
        execution: how chunks are executed: a name of :mod:`mfpolicy.deployment.chunking` under
            ``name`` and its options; None executes each chunk whole.
        latency_ms: from an observation to the chunk decided on it, in simulated time, rounded up
            to control steps.
        compiled: ``backend`` and ``precision`` of :meth:`mfpolicy.policy.Policy.compile`; None
            runs the policy as PyTorch does.
        videos: record a success and a failure, and draw the point cloud.
        name: folder name below ``run/eval``; by default made of task, seed and NFE.
        task: which of several tasks, that of ``make_env``; None of a policy of one.
        progress: called for each episode: at once for those on disk, then as each finishes.

    Returns:
        The summary, saved as ``summary.json``; the model card of the run is made anew.

    Raises:
        RunError: the run is incomplete or does not fit the environment, a seed is one that the
            demonstrations were collected with, a worker died (the message names the seed),
            ``name`` holds another evaluation, or there are several tasks and none is named.
        TaskError: the policy was not trained for the task.
        ConfigError: an argument is out of range, or the objective cannot do so many steps.
    """
    run = Path(run)
    _check_arguments(episodes, seed, workers, name)
    whole = whole_execution(execution)
    conditions = Conditions(
        device=device,
        steps=steps,
        noise_scale=noise_scale,
        guidance_scale=guidance_scale,
        execution=whole,
        latency_ms=latency_ms,
        compiled=compiled,
        task=task,
    )
    check_run(run)
    seeds = range(seed, seed + episodes)
    check_unseen(run, seeds, task)
    started = time.monotonic()
    workers = min(workers or _default_workers(device), episodes)
    service = functools.partial(EpisodeService, run, make_env, conditions)
    with WorkerPool(service, workers, noun="seed") as pool:
        sha256 = weights_sha256(run)
        settings = {**pool.facts, "weights_sha256": sha256, "seed": seed}
        name = name or _default_name(run / "eval", settings)
        with open_log(run / "eval" / name, settings) as log:
            new_episodes = _run_missing(pool, log, seeds, progress or (lambda *_: None))
    circumstances = _circumstances(workers, time.monotonic() - started, settings["device"])
    results = [log.results[s] for s in seeds]
    summary = EvalSummary(
        name=name,
        run=str(run),
        task=settings["task"],
        checkpoint_step=checkpoint_step(run),
        weights_sha256=sha256,
        nfe=settings["nfe"],
        noise_scale=noise_scale,
        guidance_scale=guidance_scale,
        execution=whole,
        latency_ms_injected=latency_ms,
        compiled=dict(compiled) if compiled else None,
        perturbation=settings.get("perturbation"),
        device=settings["device"],
        new_episodes=new_episodes,
        **outcome_fields(results),
        **(circumstances if new_episodes else _recorded(run / "eval" / name, circumstances)),
    )
    summary.save()
    illustrate(summary, results, make_env, conditions, videos=videos)
    return summary


def _run_missing(pool: WorkerPool, log: EpisodeLog, seeds: range, progress: Progress) -> int:
    """Runs the seeds that are not on record and returns how many there were."""
    recorded = [log.results[seed] for seed in seeds if seed in log.results]
    for done, result in enumerate(recorded, start=1):
        progress(done, len(seeds), result)
    missing = [seed for seed in seeds if seed not in log.results]
    for done, (_, result) in enumerate(pool.run(missing), start=len(recorded) + 1):
        log.append(result)
        progress(done, len(seeds), result)
    return len(missing)


def _circumstances(workers: int, seconds: float, device: str) -> dict[str, Any]:
    return {
        "workers": workers,
        "threads": 1,
        "wall_seconds": seconds,
        "machine": machine_facts(device),
        "packages": package_versions(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _recorded(folder: Path, circumstances: dict[str, Any]) -> dict[str, Any]:
    """The circumstances that the episodes on record ran in, as far as a summary tells them."""
    if not (folder / SUMMARY).is_file():
        return circumstances
    summary = read_summary(folder)
    return {key: getattr(summary, key) for key in circumstances}


def _default_workers(device: str) -> int:
    cores = available_cores()
    return cores if device == "cpu" else min(cores, ACCELERATOR_WORKERS)


def _default_name(evaluations: Path, settings: dict[str, Any]) -> str:
    task = settings["task"].rpartition("/")[2]
    base = f"{task}-seed{settings['seed']}-nfe{settings['nfe']}"
    for key, word in (("noise_scale", "noise"), ("guidance_scale", "guidance")):
        if key in settings:
            base += f"-{word}{settings[key]:g}"
    if "execution" in settings:
        base += f"-{settings['execution']['name']}"
    if "latency_ms" in settings:
        base += f"-latency{settings['latency_ms']:g}"
    if "perturbation" in settings:
        base += f"-{perturbed.folder_name(settings['perturbation'])}"
    if "compiled" in settings:
        base += "-" + "-".join(settings["compiled"].values())
    return fresh_name(evaluations, base, settings)


def _check_arguments(episodes: int, seed: int, workers: int | None, name: str | None) -> None:
    minima = {"episodes": (episodes, 1), "seed": (seed, 0), "workers": (workers, 1)}
    for argument, (value, minimum) in minima.items():
        if value is not None and value < minimum:
            raise ConfigError(f"{argument} must be at least {minimum}", received=value)
    if name is not None and (name != Path(name).name or name.startswith(".") or not name):
        raise ConfigError(
            "name must be the name of one folder", received=name, remedy="leave out slashes"
        )
