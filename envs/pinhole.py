"""A named camera of a MuJoCo scene as a pinhole: intrinsics and pose, whatever renders it."""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled names have no stubs)
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mfpolicy.errors import ConfigError, ObservationError, did_you_mean

if TYPE_CHECKING:
    import mujoco

_OPTICAL = np.diag([1.0, -1.0, -1.0])  # MuJoCo cameras look along -z with y up


class PinholeCamera:
    """A camera of a MuJoCo model and an image size; subclasses make images.

    Args:
        model: the MuJoCo model.
        name: name of one of its cameras.
        width, height: image size, pixels.

    Raises:
        ConfigError: the model has no such camera.
    """

    def __init__(self, model: mujoco.MjModel, name: str, *, width: int, height: int) -> None:
        names = [model.camera(index).name for index in range(model.ncam)]
        if name not in names:
            raise ConfigError(
                "camera must be one of the scene's cameras",
                received=name,
                remedy=did_you_mean(name, names),
            )
        self.model = model
        self.camera_id = names.index(name)
        self.width, self.height = width, height
        self._closed = False

    def intrinsics(self) -> NDArray[np.float64]:
        """(3, 3) pinhole matrix in pixels, from the camera's vertical field of view."""
        fovy = np.deg2rad(self.model.cam_fovy[self.camera_id])
        focal = self.height / 2 / np.tan(fovy / 2)
        return np.array([[focal, 0, self.width / 2], [0, focal, self.height / 2], [0, 0, 1]])

    def T_world_cam(self, data: mujoco.MjData) -> NDArray[np.float64]:
        """(4, 4) transform from the optical frame (x right, y down, z forward) to the world."""
        transform = np.eye(4)
        transform[:3, :3] = data.cam_xmat[self.camera_id].reshape(3, 3) @ _OPTICAL
        transform[:3, 3] = data.cam_xpos[self.camera_id]
        return transform

    def clipping_planes(self) -> tuple[float, float]:
        """Depths in metres between which anything is seen: near plane, far plane."""
        planes, extent = self.model.vis.map, self.model.stat.extent
        return planes.znear * extent, planes.zfar * extent

    def depth(self, data: mujoco.MjData) -> NDArray[np.float32]:
        """(H, W) float32, distance along the optical axis in metres; top row first.

        Where a ray meets nothing, the depth is that of the far clipping plane.

        Raises:
            BackendError: what renders it does not work here.
            ObservationError: the camera was closed.
        """
        raise NotImplementedError

    def color(self, data: mujoco.MjData) -> NDArray[np.uint8]:
        """(H, W, 3) uint8; top row first; without shadows and reflections.

        Raises:
            BackendError: what renders it does not work here.
            ObservationError: the camera was closed.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Frees what the camera holds, for good; a second call does nothing."""
        self._closed = True

    def _require_open(self) -> None:
        if self._closed:
            raise ObservationError(
                "a camera must not be used after it was closed", remedy="make a new one"
            )
