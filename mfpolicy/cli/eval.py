"""``mfpolicy eval``."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfpolicy.cli.console import output, progress_bar
from mfpolicy.cli.environments import simulators
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import EvalConfig, compose
from mfpolicy.errors import ConfigError, RunError
from mfpolicy.pointcloud import PointCloudRecipe
from mfpolicy.types import EpisodeResult

if TYPE_CHECKING:
    from mfpolicy.evaluation import EvalSummary
    from mfpolicy.evaluation.evaluate import Progress


def run(words: Sequence[str]) -> int:
    """Evaluates a run and prints its result."""
    if answers_itself("eval", words):
        return 0
    config = compose("eval", words)
    each = [(one, environment_of(one)) for one in one_task_each(config)]
    for one, make_env in each:
        _run_one(one, make_env)
    return 0


def _run_one(config: EvalConfig, make_env: Callable[..., Any]) -> None:
    from mfpolicy.evaluation import summary_table

    successes = 0

    def show_result(done: int, _total: int, result: EpisodeResult) -> None:
        nonlocal successes
        successes += result.success_any
        show(done, successes)

    with progress_bar("eval", config.episodes, "successes") as show:
        summary = evaluate_run(config, make_env, progress=show_result)
    output().print(summary_table(summary))


def one_task_each(config: EvalConfig) -> list[EvalConfig]:
    """The configuration, or one for each task of a policy of several where none is named.

    Raises:
        RunError: the run holds no policy.
        ConfigError: several evaluations are to have one name.
    """
    from mfpolicy.policy import read_spec

    spec = read_spec(config.run)
    if config.task is not None or not spec.several:
        return [config]
    if config.name is not None:
        raise ConfigError(
            "each task's evaluation must have a name of its own",
            received=f"name={config.name} for {', '.join(spec.tasks)}",
            remedy="name one of them with task=…, or leave name out",
        )
    return [dataclasses.replace(config, task=task) for task in spec.tasks]


def evaluate_run(
    config: EvalConfig, make_env: Callable[..., Any], *, progress: Progress | None = None
) -> EvalSummary:
    """Evaluates the run of the configuration; see :func:`mfpolicy.evaluation.evaluate`."""
    from mfpolicy.evaluation import evaluate
    from mfpolicy.policy.files import check_device, read_spec

    return evaluate(
        Path(config.run),
        make_env,
        episodes=config.episodes,
        seed=config.seed,
        workers=config.workers,
        device=str(check_device(config.device)),
        steps=config.steps,
        noise_scale=config.noise_scale,
        guidance_scale=config.guidance_scale,
        execution=config.execution,
        latency_ms=config.latency_ms,
        compiled=_compiled(config),
        videos=config.videos,
        name=config.name,
        task=config.task if read_spec(config.run).several else None,
        progress=progress,
    )


def _compiled(config: EvalConfig) -> dict[str, str] | None:
    """Backend and precision, where one of them is asked for."""
    if config.backend is None and config.precision == "float32":
        return None
    return {"backend": config.backend or "auto", "precision": config.precision}


def environment_of(config: EvalConfig) -> Callable[..., Any]:
    """Returns what builds the environment that the run's policy was trained for.

    The point clouds are made by the recipe that is saved with the policy.

    Raises:
        RunError: the run holds no policy, or does not say its one task and none is given.
        TaskError: no suite has the task, or the policy is of several and this is none of them.
        ConfigError: a perturbation's value cannot be.
        BackendError: the renderer that was asked for does not work here.
    """
    from mfpolicy.policy import read_spec

    spec = read_spec(config.run)
    task = config.task or spec.task
    if task is None:
        raise RunError(
            "the policy must say which one task it was trained for, or be told one",
            received=config.run,
            remedy=f"add task={spec.tasks[0]}, or another of {', '.join(spec.tasks)}"
            if spec.several
            else "add task=suite/name",
        )
    if spec.several:
        spec.for_task(task)
    envs = simulators()
    envs.spec(task)
    perturbation = changed_by(config.perturbation)
    envs.select_backend()  # here, so that the workers inherit it and only one process warns
    options: dict[str, Any] = {"color": True} if spec.color else {}
    if perturbation is not None:
        options["perturbation"] = perturbation
    make = functools.partial(envs.make, **options) if options else envs.make
    if spec.recipe is None:
        return functools.partial(make, task, points=spec.points)
    return functools.partial(make, task, recipe=PointCloudRecipe.from_dict(spec.recipe))


def changed_by(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """The perturbation of a configuration, checked and with every option; None where it is none.

    Raises:
        ConfigError: there is no such perturbation, or a value cannot be.
    """
    simulators()
    from envs.perturbations import build

    perturbation = build(options)
    return None if perturbation is None else perturbation.to_dict()
