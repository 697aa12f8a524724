"""`CloudCamera`: the depth camera of a recipe in a scene, and the cloud it sees."""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled names have no stubs)
from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from envs.camera import OffscreenCamera
from envs.gl import select_backend
from envs.raycast import RayCamera
from mfpolicy.errors import ConfigError, did_you_mean
from mfpolicy.pointcloud import Disturbance, PointCloudRecipe, cloud_from_depth
from mfpolicy.types import RAYCAST

if TYPE_CHECKING:
    import mujoco


class CloudCamera:
    """Moves the recipe's camera to its place and turns what it sees into point clouds.

    Args:
        model: the scene; its camera's pose is set.
        data: the scene's state, rendered as it stands.
        recipe: which camera, where, how large, what is kept, how many points.
        disturbance: changes points on their way to the cloud.

    Attributes:
        points_ms: milliseconds from depth image to point cloud in the last cloud.
        render_ms: milliseconds of rendering in the last cloud, colors not counted.
        renderer: what renders it: ``egl``, ``osmesa``, ``glfw`` or ``raycast``.

    Raises:
        ConfigError: the scene has no such camera, or it rides on a moving body, or a body that
            shall be hidden is not there.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        recipe: PointCloudRecipe,
        disturbance: Disturbance | None = None,
    ) -> None:
        import mujoco

        size = recipe.image_size
        self.renderer = select_backend()
        camera = RayCamera if self.renderer == RAYCAST else OffscreenCamera
        self._camera = camera(model, recipe.camera, width=size, height=size)
        if model.cam_bodyid[self._camera.camera_id] != 0:
            raise ConfigError(
                "the camera of a point cloud must be fixed to the world, not to a moving body",
                received=recipe.camera,
            )
        model.cam_pos[self._camera.camera_id] = recipe.camera_position
        if recipe.camera_orientation is not None:
            quaternion = np.array(recipe.camera_orientation)
            model.cam_quat[self._camera.camera_id] = quaternion / np.linalg.norm(quaternion)
        self._hidden_geoms = _geoms_of(model, recipe.hidden_bodies)
        mujoco.mj_forward(model, data)
        self._data = data
        self._recipe, self._disturbance = recipe, disturbance
        self._unnoticed_m = np.zeros(3)
        self.points_ms = self.render_ms = 0.0

    def describe(self) -> dict[str, Any]:
        """Intrinsics, pose and image size as JSON-able values."""
        return {
            "intrinsics": self._camera.intrinsics().tolist(),
            "T_world_cam": self._camera.T_world_cam(self._data).tolist(),
            "image_size": self._recipe.image_size,
        }

    def move(self, offset_m: NDArray[np.float64], *, believed: bool) -> None:
        """Sets the camera this far (3,) from its place, from the next ``mj_forward`` on.

        Args:
            offset_m: world frame, metres.
            believed: whether it is still believed at its place, so that points come out displaced.
        """
        place = np.array(self._recipe.camera_position)
        self._camera.model.cam_pos[self._camera.camera_id] = place + offset_m
        self._unnoticed_m = offset_m if believed else np.zeros(3)

    def cloud(self) -> NDArray[np.float32]:
        """(P, 3) points, world frame, metres.

        Raises:
            ObservationError: no point lies in the crop box.
            BackendError: the backend does not start.
        """
        with self.hidden():
            depth = self._depth()
        return self._points(depth, None)

    def colored_cloud(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """The points of `cloud`, and the color (P, 3) of each."""
        points, colors, _, _ = self.colored_cloud_and_images()
        return points, colors

    def colored_cloud_and_images(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8]]:
        """`colored_cloud`, and what it was made of: depth (H, W) in metres, colors (H, W, 3)."""
        depth, image = self.images(color=True)
        assert image is not None
        points = self._points(depth, image)
        return points[:, :3].copy(), points[:, 3:].astype(np.uint8), depth, image

    def images(self, *, color: bool) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
        """Depth (H, W) in metres and, where asked for, colors (H, W, 3)."""
        with self.hidden():
            image = self._camera.color(self._data) if color else None
            return self._depth(), image

    def close(self) -> None:
        """Frees what renders, for good; a second call does nothing."""
        self._camera.close()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Makes the recipe's hidden bodies invisible, to MuJoCo's own rays as well."""
        model, geoms = self._camera.model, self._hidden_geoms
        colors, materials = model.geom_rgba[geoms], model.geom_matid[geoms]  # copies
        model.geom_rgba[geoms, 3], model.geom_matid[geoms] = 0, -1
        try:
            yield
        finally:
            model.geom_rgba[geoms], model.geom_matid[geoms] = colors, materials

    def _depth(self) -> NDArray[np.float32]:
        started = time.perf_counter()
        depth = self._camera.depth(self._data)
        self.render_ms = 1e3 * (time.perf_counter() - started)
        return depth

    def _points(
        self, depth: NDArray[np.float32], image: NDArray[np.uint8] | None
    ) -> NDArray[np.float32]:
        """(P, 3), or (P, 6) with colors from the image (H, W, 3): unproject, crop, sample."""
        started = time.perf_counter()
        pose = self._camera.T_world_cam(self._data)
        pose[:3, 3] -= self._unnoticed_m
        intrinsics = self._camera.intrinsics()
        chosen = cloud_from_depth(
            depth, intrinsics, pose, self._recipe, image=image, disturbance=self._disturbance
        )
        self.points_ms = 1e3 * (time.perf_counter() - started)
        return chosen


def _geoms_of(model: mujoco.MjModel, bodies: Sequence[str]) -> NDArray[np.int64]:
    names = [model.body(index).name for index in range(model.nbody)]
    for body in bodies:
        if body not in names:
            raise ConfigError(
                "hidden_bodies must be bodies of the scene",
                received=body,
                remedy=did_you_mean(body, names),
            )
    return np.flatnonzero(np.isin(model.geom_bodyid, [names.index(body) for body in bodies]))
