"""``mfpolicy eval``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfpolicy.cli.console import output, progress_bar
from mfpolicy.cli.environments import simulators
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import EvalConfig, compose
from mfpolicy.errors import RunError
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
    make_env = environment_of(config)
    from mfpolicy.evaluation import summary_table

    successes = 0

    def show_result(done: int, _total: int, result: EpisodeResult) -> None:
        nonlocal successes
        successes += result.success_any
        show(done, successes)

    with progress_bar("eval", config.episodes, "successes") as show:
        summary = evaluate_run(config, make_env, progress=show_result)
    output().print(summary_table(summary))
    return 0


def evaluate_run(
    config: EvalConfig, make_env: Callable[..., Any], *, progress: Progress | None = None
) -> EvalSummary:
    """Evaluates the run of the configuration; see :func:`mfpolicy.evaluation.evaluate`."""
    from mfpolicy.evaluation import evaluate
    from mfpolicy.policy.files import check_device

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
        RunError: the run holds no policy, or does not say its task and none is given.
        TaskError: no suite has the task.
        BackendError: the renderer that was asked for does not work here.
    """
    from mfpolicy.policy import read_spec

    spec = read_spec(config.run)
    task = config.task or spec.task
    if task is None:
        raise RunError(
            "the policy must say which task it was trained for, or be told one",
            received=config.run,
            remedy="add task=suite/name",
        )
    envs = simulators()
    envs.spec(task)
    envs.select_backend()  # here, so that the workers inherit it and only one process warns
    make = functools.partial(envs.make, color=True) if spec.color else envs.make
    if spec.recipe is None:
        return functools.partial(make, task, points=spec.points)
    return functools.partial(make, task, recipe=PointCloudRecipe.from_dict(spec.recipe))
