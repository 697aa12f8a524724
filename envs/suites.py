"""Task suites as data: ``configs/suite/NAME.yaml`` describes a suite, ``envs/NAME.py`` runs it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from mfpolicy.errors import ConfigError, TaskError, UserError, did_you_mean
from mfpolicy.paths import config_dir
from mfpolicy.pointcloud import PointCloudRecipe
from mfpolicy.types import DemonstrationRule, TaskSpec

CLOUD_OPTIONS = (
    "camera",
    "camera_position",
    "camera_orientation",
    "image_size",
    "crop_min",
    "crop_max",
    "points",
    "hidden_bodies",
)
"""Options of a suite that change its point cloud; the only other option is ``horizon``."""

OPTIONS = (*CLOUD_OPTIONS, "horizon")

TASK_VALUES = (
    *OPTIONS,
    "state_dim",
    "action_dim",
    "action_kinds",
    "control_rate_hz",
    "expert",
    "demonstration",
    "video",
)
"""What ``of_task`` may change for a single task."""


@dataclass(frozen=True)
class VideoView:
    """The view of `PointCloudEnv.render`.

    Attributes:
        camera: name of the camera in the scene.
        size: side of the square picture, pixels.
        upside_down: whether the scene's camera hangs upside down, so that pictures are turned.
    """

    camera: str
    size: int
    upside_down: bool = False


@dataclass(frozen=True)
class Suite:
    """A suite as its YAML file tells it.

    Attributes:
        name: the suite's name, also that of its file and of its module in ``envs``.
        tasks: by full name, in the order of the file.
        recipes: how the point cloud of a task is made, by the task's full name.
        videos: the view of a task's videos, by the task's full name.
        sets: named lists of tasks by full name, for example those of a published comparison.
    """

    name: str
    tasks: Mapping[str, TaskSpec]
    recipes: Mapping[str, PointCloudRecipe]
    videos: Mapping[str, VideoView]
    sets: Mapping[str, tuple[str, ...]]

    def with_options(
        self, task: TaskSpec, options: Mapping[str, Any], recipe: PointCloudRecipe | None = None
    ) -> tuple[TaskSpec, PointCloudRecipe]:
        """The task and recipe with ``options`` in place of the file's values.

        Raises:
            ConfigError: an option is unknown or its value cannot be.
        """
        for name in options:
            if name not in OPTIONS:
                raise ConfigError(
                    f"suite {self.name} has no option of this name",
                    received=name,
                    remedy=did_you_mean(name, OPTIONS),
                )
        horizon = options.get("horizon", task.horizon)
        if isinstance(horizon, bool) or not isinstance(horizon, int) or horizon < 1:
            raise ConfigError("horizon must be a whole number, at least 1", received=horizon)
        cloud = {name: options[name] for name in CLOUD_OPTIONS if name in options}
        try:
            recipe = dataclasses.replace(recipe or self.recipes[task.name], **cloud)
        except UserError as error:
            raise ConfigError(f"suite option: {error}") from error
        return dataclasses.replace(task, horizon=horizon), recipe


def suite_names() -> list[str]:
    """Names of all suites, sorted."""
    return sorted(path.stem for path in (config_dir() / "suite").glob("*.yaml"))


def suite_of(task: str) -> Suite:
    """The suite of a task's full name, ``suite/task``.

    Raises:
        TaskError: no suite has this task; the message gives the nearest names.
    """
    name = task.partition("/")[0] if isinstance(task, str) else ""
    if name in suite_names():
        suite = load_suite(name)
        if task in suite.tasks:
            return suite
    every = [known for each in suite_names() for known in load_suite(each).tasks]
    same_last = [known for known in every if known.endswith(f"/{task}")]
    raise TaskError(
        "task must be the name of a known task, suite/task",
        received=task,
        remedy=f"did you mean '{same_last[0]}'?" if same_last else _nearest_tasks(task, every),
    )


@cache
def load_suite(name: str) -> Suite:
    """Reads a suite.

    Raises:
        ConfigError: its file lacks a value, or a value cannot be.
    """
    import yaml

    path = config_dir() / "suite" / f"{name}.yaml"
    try:
        return _suite(name, yaml.safe_load(path.read_text(encoding="utf-8")))
    except UserError:
        raise
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} must describe a task suite",
            received=f"{type(error).__name__}: {error}",
            remedy="compare it with the file of another suite and envs/README.md",
        ) from error


def _suite(name: str, values: Mapping[str, Any]) -> Suite:
    own = _own_values(name, values)
    tasks = {
        f"{name}/{task}": _task(name, task, difficulty, own[task])
        for difficulty, members in values["tasks"].items()
        for task in members
    }
    sets = {
        title: tuple(f"{name}/{task}" for task in members)
        for title, members in (values.get("sets") or {}).items()
    }
    if unknown := sorted(set().union(*sets.values()) - set(tasks)):
        raise ConfigError(f"suite {name} names tasks it does not have", received=unknown)
    recipes = {f"{name}/{task}": _recipe(own[task]) for task in own}
    videos = {f"{name}/{task}": VideoView(**own[task]["video"]) for task in own}
    return Suite(name, tasks, recipes, videos, sets)


def _own_values(name: str, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The values of each task: the suite's, with those of ``of_task`` and ``horizon_of`` over them.

    Raises:
        ConfigError: a task is named that the suite does not have, or a value no task can have.
    """
    of_task, horizon_of = values.get("of_task") or {}, values.get("horizon_of") or {}
    names = [task for members in values["tasks"].values() for task in members]
    if unknown := sorted(f"{name}/{task}" for task in {*of_task, *horizon_of} - set(names)):
        raise ConfigError(f"suite {name} names tasks it does not have", received=unknown)
    for task, changes in of_task.items():
        for key in changes:
            if key not in TASK_VALUES:
                raise ConfigError(
                    f"of_task.{task} of suite {name} must change a value that a task has",
                    received=key,
                    remedy=did_you_mean(str(key), TASK_VALUES),
                )
    horizons = {task: {"horizon": steps} for task, steps in horizon_of.items()}
    return {task: {**values, **horizons.get(task, {}), **of_task.get(task, {})} for task in names}


def _task(suite: str, task: str, difficulty: str, values: Mapping[str, Any]) -> TaskSpec:
    kinds = values.get("action_kinds") or ()
    return TaskSpec(
        name=f"{suite}/{task}",
        suite=suite,
        difficulty=difficulty,
        state_dim=values["state_dim"],
        action_dim=values["action_dim"],
        horizon=values["horizon"],
        control_rate_hz=float(values["control_rate_hz"]),
        expert=values["expert"],
        action_kinds=(kinds,) * values["action_dim"] if isinstance(kinds, str) else tuple(kinds),
        demonstration=DemonstrationRule(**(values.get("demonstration") or {})),
    )


def _recipe(values: Mapping[str, Any]) -> PointCloudRecipe:
    optional = ("camera_orientation", "hidden_bodies")
    return PointCloudRecipe.from_dict(
        {
            key: values[key]
            for key in CLOUD_OPTIONS
            if key not in optional or values.get(key) is not None
        }
    )


def _nearest_tasks(task: object, every: list[str]) -> str:
    remedy = did_you_mean(str(task), every)
    return remedy if remedy.startswith("did you") else "see mfpolicy tasks"
