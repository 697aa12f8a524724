"""The cameras of a recipe, chosen by their names in a scene."""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled names have no stubs)
from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mfpolicy.errors import ConfigError, UserError, did_you_mean
from mfpolicy.pointcloud import CameraView, PointCloudRecipe

if TYPE_CHECKING:
    import mujoco


def with_cameras(
    recipe: PointCloudRecipe,
    model: mujoco.MjModel,
    *,
    cameras: Sequence[str] | None = None,
    clouds: str | None = None,
) -> PointCloudRecipe:
    """The recipe seen by other cameras of the scene.

    The recipe's own camera stands where the recipe says, others where the scene has them.

    Args:
        recipe: of the task.
        model: the scene.
        cameras: their names, in the order of their clouds; None leaves the recipe's.
        clouds: ``merged`` or ``apart``; None leaves the recipe's.

    Raises:
        ConfigError: the scene has no such camera, it is named twice, it rides on a moving body, or
            the points of a cloud cannot be divided among so many.
    """
    changes: dict[str, object] = {} if clouds is None else {"clouds": clouds}
    if cameras is not None:
        if isinstance(cameras, str) or not cameras:
            raise ConfigError(
                "cameras must be a list of at least one name",
                received=cameras,
                remedy="write cameras=[first,second]",
            )
        known = {view.camera: view for view in recipe.views}
        first, *further = [known.get(name) or scene_view(model, name) for name in cameras]
        changes |= dataclasses.asdict(first) | {"further_cameras": tuple(further)}
    try:
        return dataclasses.replace(recipe, **changes)
    except UserError as error:
        raise ConfigError(str(error).rstrip(".")) from error


def scene_view(model: mujoco.MjModel, name: str) -> CameraView:
    """A camera of the scene as the scene places it.

    Raises:
        ConfigError: there is no such camera, or it is not fixed to the world.
    """
    camera_id = fixed_camera(model, name)
    x, y, z = (float(value) for value in model.cam_pos[camera_id])
    return CameraView(name, (x, y, z))


def fixed_camera(model: mujoco.MjModel, name: str) -> int:
    """The number of a camera that is fixed to the world.

    Raises:
        ConfigError: there is no such camera, or it is not fixed to the world.
    """
    bodies = {model.camera(index).name: model.cam_bodyid[index] for index in range(model.ncam)}
    if name not in bodies:
        raise ConfigError(
            "camera must be one of the scene's cameras",
            received=name,
            remedy=did_you_mean(str(name), [known for known, body in bodies.items() if body == 0]),
        )
    if bodies[name] != 0:
        raise ConfigError(
            "the camera of a point cloud must be fixed to the world, not to a moving body",
            received=name,
            remedy="choose one of " + ", ".join(n for n, body in bodies.items() if body == 0),
        )
    return list(bodies).index(name)
