"""Demonstrations from an expert to a dataset: seeded, resumable, honest about failures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mfpolicy.data.demonstration import DemonstrationEnv, record_demonstration
from mfpolicy.data.episode import Episode
from mfpolicy.data.schema import DatasetSpec
from mfpolicy.data.writer import DatasetWriter
from mfpolicy.errors import ConfigError, DataError
from mfpolicy.types import RAYCAST, DemonstrationRule


@dataclass(frozen=True)
class CollectProgress:
    """One attempt of the expert, as it is reported while collecting.

    Attributes:
        seed: of the attempt. success: whether it was kept. steps: control steps it took.
        kept: episodes in the dataset. wanted: episodes asked for. attempted: attempts so far.
    """

    seed: int
    success: bool
    steps: int
    kept: int
    wanted: int
    attempted: int


@dataclass(frozen=True)
class CollectReport:
    """What a collection came to, earlier interrupted runs of it included.

    Attributes:
        path: the dataset. kept: its episodes. steps: its steps. attempted: attempts of the expert.
        expert_success_rate: kept over attempted, of the expert itself.
        seeds: of the kept episodes. seconds: duration of this call.
    """

    path: Path
    kept: int
    steps: int
    attempted: int
    expert_success_rate: float
    seeds: list[int]
    seconds: float


def collect(
    make_env: Callable[[], DemonstrationEnv],
    out: str | os.PathLike[str],
    *,
    episodes: int,
    seed: int,
    tail_steps: int | None = None,
    max_attempts: int | None = None,
    store_extras: bool = True,
    store_images: bool = False,
    progress: Callable[[CollectProgress], None] | None = None,
) -> CollectReport:
    """Collects ``episodes`` successful demonstrations into the dataset ``out``.

    Attempts take the seeds ``seed``, ``seed + 1``, … in order; each is the expert's until
    ``tail_steps`` after its first success, or the end of the episode. What counts as a success is
    the task's own rule (``TaskSpec.demonstration``). Failures are not kept, but counted. Every
    finished attempt is committed at once, so an interrupted call (Ctrl-C, kill, full disk) loses
    at most the attempt under way, and the same call goes on from there to the same dataset, bit
    for bit, as if it had not been interrupted.

    Args:
        make_env: builds the environment; called once.
        out: folder of the dataset; created, or continued.
        episodes: how many successful episodes the dataset shall have.
        seed: of the first attempt.
        tail_steps: steps recorded after the first success; None takes the task's rule, which
            may be to record to the horizon.
        max_attempts: give up after so many attempts in all; by default 10 · episodes + 20.
        store_extras: also store colors and whatever else the environment observes.
        store_images: also store the depth and color images that the clouds are made of, with
            which clouds can be computed again; needs ``store_extras``.
        progress: called after each attempt.

    Raises:
        ConfigError: a number is out of range, or images are to be stored of several cameras.
        DataError: the dataset exists with another task, recipe, seed or tail, has more episodes
            than asked for, is being written to, or the expert fails too often (the finished
            episodes stay); or the disk refuses.

    Example:
        >>> report = collect(lambda: envs.make("metaworld/drawer-open"),   # doctest: +SKIP
        ...                  "data/drawer-open.zarr", episodes=10, seed=0)
        >>> report.expert_success_rate                                     # doctest: +SKIP
        1.0
    """
    if max_attempts is None:
        max_attempts = 10 * episodes + 20
    _check_at_least(1, episodes=episodes, max_attempts=max_attempts)
    _check_at_least(0, seed=seed, tail_steps=tail_steps or 0)
    if store_images and not store_extras:
        raise ConfigError("store_images=true needs store_extras=true", received=store_extras)
    started = time.monotonic()
    env = make_env()
    try:
        rule = env.spec_task.demonstration
        if tail_steps is not None:
            rule = replace(rule, tail_steps=tail_steps)
        if store_images:
            _check_single_camera(env)
        settings = _settings(
            seed, rule, env.renderer, store_extras=store_extras, store_images=store_images
        )
        with DatasetWriter.open(out, _spec(env)) as writer:
            failed = _failed_seeds(writer, settings, episodes)
            while writer.episode_count < episodes:
                attempted = writer.episode_count + len(failed)
                if attempted >= max_attempts:
                    raise _too_many_failures(writer, attempted, episodes)
                attempt = record_demonstration(
                    env,
                    seed + attempted,
                    rule=rule,
                    store_extras=store_extras,
                    store_images=store_images,
                )
                if attempt.success:
                    writer.append(attempt, journal={**settings, "failed_seeds": failed})
                else:
                    failed = [*failed, seed + attempted]
                    writer.record({**settings, "failed_seeds": failed})
                if progress is not None:
                    progress(_progress(seed + attempted, attempt, writer, failed, episodes))
            return _report(writer, failed, time.monotonic() - started)
    finally:
        env.close()


def _check_single_camera(env: DemonstrationEnv) -> None:
    if env.recipe.further_cameras:
        raise ConfigError(
            "store_images stores the images of a single camera",
            received=[view.camera for view in env.recipe.views],
            remedy="leave it out: clouds of several cameras are stored without images",
        )


def _report(writer: DatasetWriter, failed: list[int], seconds: float) -> CollectReport:
    attempted = writer.episode_count + len(failed)
    return CollectReport(
        path=writer.path,
        kept=writer.episode_count,
        steps=writer.step_count,
        attempted=attempted,
        expert_success_rate=writer.episode_count / attempted,
        seeds=writer.seeds,
        seconds=seconds,
    )


def _check_at_least(least: int, **values: int) -> None:
    for name, value in values.items():
        if value < least:
            raise ConfigError(f"{name} must be at least {least}", received=value)


def _settings(
    seed: int, rule: DemonstrationRule, renderer: str, *, store_extras: bool, store_images: bool
) -> dict[str, Any]:
    """What a continued collection must repeat; without what earlier versions did not know."""
    default = DemonstrationRule(rule.tail_steps)
    kept_if = {"goal_steps": rule.goal_steps, "success_at_end": rule.success_at_end}
    return {
        "first_seed": seed,
        "tail_steps": rule.tail_steps,
        "store_extras": store_extras,
        **({"store_images": True} if store_images else {}),
        **({} if rule == default else kept_if),
        # The OpenGL backends see the same, bit for bit; rays see edges differently.
        **({"renderer": renderer} if renderer == RAYCAST else {}),
    }


def _spec(env: DemonstrationEnv) -> DatasetSpec:
    task = env.spec_task
    return DatasetSpec(
        task=task.name,
        control_rate_hz=task.control_rate_hz,
        expert=task.expert,
        recipe=env.recipe,
        camera=env.camera,
        state_dim=task.state_dim,
        action_dim=task.action_dim,
        points=env.recipe.points,
        extra={"renderer": env.renderer},
    )


def _failed_seeds(writer: DatasetWriter, settings: dict[str, Any], episodes: int) -> list[int]:
    """Returns the seeds that earlier runs of this collection tried in vain."""
    journal = writer.journal
    if not journal and writer.episode_count == 0:
        return []
    failed = journal.get("failed_seeds")
    there = {name: value for name, value in journal.items() if name != "failed_seeds"}
    if there != settings or not isinstance(failed, list):
        raise DataError(
            f"a collection can only be continued with its own settings, {there} in {writer.path}",
            received=settings,
            remedy="repeat those settings, or collect to another path",
        )
    first = settings["first_seed"]
    tried = sorted([*writer.seeds, *failed])
    if tried != list(range(first, first + len(tried))):
        raise DataError(
            f"the seeds of {writer.path} must follow one another",
            received=tried,
            remedy="collect to another path",
        )
    if writer.episode_count > episodes:
        raise DataError(
            f"{writer.path} already has more episodes than asked for",
            received=f"{writer.episode_count} there, {episodes} asked for",
            remedy=f"pass episodes={writer.episode_count}, or collect to another path",
        )
    return failed


def _too_many_failures(writer: DatasetWriter, attempted: int, episodes: int) -> DataError:
    kept = writer.episode_count
    return DataError(
        f"the expert must succeed {episodes} times, but did {kept} times in {attempted} attempts "
        f"({kept / attempted:.0%})",
        remedy=f"raise max_attempts or choose another task; {kept} episodes are in {writer.path}",
    )


def _progress(
    seed: int, attempt: Episode, writer: DatasetWriter, failed: list[int], episodes: int
) -> CollectProgress:
    return CollectProgress(
        seed=seed,
        success=bool(attempt.success),
        steps=len(attempt),
        kept=writer.episode_count,
        wanted=episodes,
        attempted=writer.episode_count + len(failed),
    )
