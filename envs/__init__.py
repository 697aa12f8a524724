"""Tasks to learn, as Gymnasium environments with point-cloud observations.

``import envs`` registers ``mfpolicy/SUITE-TASK-v0`` for every task and is cheap: simulators are
imported by the first `make`.

Example:
    >>> import envs
    >>> [task.name for task in envs.tasks()][:2]
    ['adroit/door', 'adroit/hammer']
    >>> env = envs.make("metaworld/reach", horizon=50)
    >>> env.spec_task.horizon
    50
    >>> env.close()
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium

from envs.gl import select_backend
from envs.suites import load_suite, suite_names, suite_of
from envs.views import with_cameras
from mfpolicy.errors import ConfigError, did_you_mean
from mfpolicy.types import TaskSpec

if TYPE_CHECKING:
    from envs.base import PointCloudEnv
    from envs.simulation import Simulation
    from mfpolicy.pointcloud import PointCloudRecipe

__all__ = ["make", "open_simulation", "select_backend", "spec", "task_set", "task_sets", "tasks"]


def make(
    task: str,
    *,
    recipe: PointCloudRecipe | None = None,
    color: bool = False,
    render_mode: str | None = None,
    cameras: Sequence[str] | None = None,
    clouds: str | None = None,
    perturbation: Mapping[str, Any] | None = None,
    **options: Any,
) -> PointCloudEnv:
    """Builds the environment of a task.

    Args:
        task: full name, for example ``metaworld/drawer-open``.
        recipe: how the point cloud is made; without one, the suite's.
        color: whether observed points have red, green and blue, from 0 to 255, behind x, y, z.
        render_mode: ``rgb_array`` where `PointCloudEnv.render` is wanted.
        cameras: names of the cameras that see it, in place of the recipe's one: the recipe's stands
            where the recipe says, others where the scene has them.
        clouds: of several cameras, ``merged`` or ``apart``; see
            :class:`~mfpolicy.pointcloud.PointCloudRecipe`.
        perturbation: what is changed, registered name of `envs.perturbations` under ``name`` and
            its options; None changes nothing.
        options: values in place of the suite's: ``horizon``, ``points``, ``image_size``,
            ``camera``, ``camera_position``, ``camera_orientation``, ``crop_min``, ``crop_max``,
            ``hidden_bodies``.

    Raises:
        TaskError: no suite has the task; the message gives the nearest names.
        ConfigError: an option is unknown or its value cannot be, or the task cannot be perturbed
            so.
        BackendError: this machine cannot render.
    """
    suite = suite_of(task)
    spec_task, recipe = suite.with_options(suite.tasks[task], options, recipe)
    from envs.base import PointCloudEnv
    from envs.perturbations import build

    changed = build(perturbation)
    # Before the simulator is imported: MuJoCo fixes its backend when it is.
    select_backend()
    simulation = open_simulation(task)
    if cameras is not None or clouds is not None:
        recipe = with_cameras(recipe, simulation.model, cameras=cameras, clouds=clouds)
    video = suite.videos[task]
    return PointCloudEnv(
        simulation,
        spec_task,
        recipe,
        video,
        color=color,
        render_mode=render_mode,
        perturbation=changed,
    )


def open_simulation(task: str) -> Simulation:
    """The physics of a task alone: no camera, no OpenGL, no Gymnasium.

    Raises:
        TaskError: no suite has the task; the message gives the nearest names.
    """
    module = importlib.import_module(f"envs.{suite_of(task).name}")
    return module.open_simulation(task.partition("/")[2])


def tasks() -> list[TaskSpec]:
    """Every task of every suite, suites sorted by name, tasks in the order of the suite's file."""
    return [task for name in suite_names() for task in load_suite(name).tasks.values()]


def spec(task: str) -> TaskSpec:
    """The description of a task by its full name.

    Raises:
        TaskError: no suite has the task; the message gives the nearest names.
    """
    return suite_of(task).tasks[task]


def task_set(name: str) -> list[TaskSpec]:
    """The tasks of a named list, for example ``mp1_37``, over all suites.

    Raises:
        ConfigError: no suite has a list of this name.
    """
    sets = task_sets()
    if name not in sets:
        raise ConfigError(
            "task set must be one that a suite names",
            received=name,
            remedy=did_you_mean(name, sets),
        )
    return [spec(task) for task in sets[name]]


def task_sets() -> dict[str, list[str]]:
    """Every named list of tasks: its name → full names of its tasks, over all suites."""
    suites = [load_suite(each) for each in suite_names()]
    names = sorted({title for suite in suites for title in suite.sets})
    return {name: [t for suite in suites for t in suite.sets.get(name, ())] for name in names}


def _register() -> None:
    for task in tasks():
        gymnasium.register(
            id=f"mfpolicy/{task.name.replace('/', '-')}-v0",
            entry_point="envs:make",
            kwargs={"task": task.name},
        )


_register()
