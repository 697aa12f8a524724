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
from mfpolicy.types import TaskSpec

CLOUD_OPTIONS = ("camera", "camera_position", "image_size", "crop_min", "crop_max", "points")
"""Options of a suite that change its point cloud; the only other option is ``horizon``."""

OPTIONS = (*CLOUD_OPTIONS, "horizon")


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
        recipe: the point cloud of all its tasks.
        video: the view of its videos.
        tasks: by full name, in the order of the file.
        sets: named lists of tasks by full name, for example those of a published comparison.
    """

    name: str
    recipe: PointCloudRecipe
    video: VideoView
    tasks: Mapping[str, TaskSpec]
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
            recipe = dataclasses.replace(recipe or self.recipe, **cloud)
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
    own_horizon = dict(values.get("horizon_of") or {})
    tasks = {
        f"{name}/{task}": TaskSpec(
            name=f"{name}/{task}",
            suite=name,
            difficulty=difficulty,
            state_dim=values["state_dim"],
            action_dim=values["action_dim"],
            horizon=own_horizon.pop(task, values["horizon"]),
            control_rate_hz=float(values["control_rate_hz"]),
            expert=values["expert"],
            action_kinds=tuple(values.get("action_kinds") or ()),
        )
        for difficulty, members in values["tasks"].items()
        for task in members
    }
    sets = {
        title: tuple(f"{name}/{task}" for task in members)
        for title, members in (values.get("sets") or {}).items()
    }
    listed = {f"{name}/{task}" for task in own_horizon}.union(*sets.values())
    if unknown := sorted(listed - set(tasks)):
        raise ConfigError(f"suite {name} names tasks it does not have", received=unknown)
    recipe = PointCloudRecipe.from_dict({key: values[key] for key in CLOUD_OPTIONS})
    return Suite(name, recipe, VideoView(**values["video"]), tasks, sets)


def _nearest_tasks(task: object, every: list[str]) -> str:
    remedy = did_you_mean(str(task), every)
    return remedy if remedy.startswith("did you") else "see mfpolicy tasks"
