"""The data of a run, of one task or of several: opened, checked against one another, described."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch

from mfpolicy.config.schema import TrainConfig
from mfpolicy.data import Dataset, open_dataset
from mfpolicy.data.dataset import MEMORY_BUDGET_BYTES, WindowDataset
from mfpolicy.data.joint import JointWindows, Windows
from mfpolicy.errors import DataError
from mfpolicy.training.data_description import describe_data
from mfpolicy.training.heldout import split_episodes
from mfpolicy.types import DATASETS


def open_datasets(config: TrainConfig) -> dict[str, Dataset]:
    """Opens the dataset of each task, in their order.

    Raises:
        DataError: one cannot be opened, shows another task, or differs from the others in
            dimensions, control rate or recipe of its point clouds; the message says in what.
    """
    datasets = {task: open_dataset(data) for task, data in config.data_of.items()}
    for task, dataset in datasets.items():
        _check_task(dataset, task)
    _check_alike(datasets, config)
    return datasets


def load_windows(
    load: Callable[..., WindowDataset],
    datasets: Mapping[str, Dataset],
    config: TrainConfig,
    device: torch.device,
) -> tuple[Windows, Windows | None]:
    """Returns the windows to train on, and those held out, if any.

    Of each dataset as many episodes are held out as the configuration says. Together they take the
    memory that one dataset may take.

    Args:
        load: makes the windows of a dataset.
        datasets: by task.
        config: of the run.
        device: where the windows live.

    Raises:
        DataError, ConfigError: as of :class:`WindowDataset`; or no episode is left to train on.
    """
    trained: dict[str, WindowDataset] = {}
    heldout: dict[str, WindowDataset] = {}
    steps = sum(dataset.step_count for dataset in datasets.values())
    for task, dataset in datasets.items():
        share = MEMORY_BUDGET_BYTES * dataset.step_count // steps
        for windows, episodes in zip(
            (trained, heldout), split_episodes(dataset, config), strict=True
        ):
            if episodes:
                windows[task] = load(
                    dataset,
                    n_obs_steps=config.policy.n_obs_steps,
                    horizon=config.policy.horizon,
                    n_action_steps=config.policy.n_action_steps,
                    points=config.policy.points,
                    color=config.policy.color,
                    device=device,
                    episodes=episodes,
                    **({"memory_budget_bytes": share} if len(datasets) > 1 else {}),
                )
    if len(datasets) == 1:
        return trained[config.tasks[0]], heldout.get(config.tasks[0])
    return JointWindows(trained), JointWindows(heldout) if heldout else None


def describe_datasets(datasets: Mapping[str, Dataset], config: TrainConfig) -> dict[str, Any]:
    """Returns what ``data.yaml`` says: of one dataset, or of each by its task.

    Raises:
        DataError: a chunk is damaged, or two datasets hold the same demonstrations.
    """
    said = {task: describe_data(own, color=config.policy.color) for task, own in datasets.items()}
    if len(said) == 1:
        return said[config.tasks[0]]
    held: dict[str, str] = {}
    for task, own in said.items():
        other = held.setdefault(str(own["values"]), task)
        if other != task:
            raise DataError(
                "two tasks must not be shown by the same demonstrations",
                received=f"{other} by {datasets[other].path}, {task} by {datasets[task].path}",
                remedy="give the dataset of each task",
            )
    return {DATASETS: said}


def _check_task(dataset: Dataset, task: str) -> None:
    stored = dataset.spec.task
    if stored is not None and stored != task:
        raise DataError(
            f"the dataset must show the task that is trained, {task!r}",
            received=stored,
            remedy=f"set task={stored} or give the data of {task}",
        )


def _check_alike(datasets: Mapping[str, Dataset], config: TrainConfig) -> None:
    first, *others = datasets
    for task in others:
        ours, theirs = (_facts(datasets[name], config) for name in (first, task))
        differing = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
        if differing:
            raise DataError(
                "datasets that are trained on together must agree on " + ", ".join(differing),
                received="; ".join(
                    f"{key}: {ours.get(key)} of {first}, {theirs.get(key)} of {task}"
                    for key in differing
                ),
                remedy="collect or convert them alike, or train a policy of each",
            )


def _facts(dataset: Dataset, config: TrainConfig) -> dict[str, Any]:
    """What a policy takes for granted in all it sees."""
    spec = dataset.spec
    recipe = {} if spec.recipe is None else dataclasses.asdict(spec.recipe)
    if config.policy.points is not None:
        recipe.pop("points", None)  # a prefix of the stored ones
    stored = {} if config.policy.points is not None else {"points": spec.points}
    return {
        "state_dim": spec.state_dim,
        "action_dim": spec.action_dim,
        "control_rate_hz": spec.control_rate_hz,
        **stored,
        **{f"recipe.{key}": value for key, value in recipe.items()},
    }
