"""`CloudCamera`: the depth cameras of a recipe in a scene, and the cloud they see."""

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
from envs.pinhole import PinholeCamera
from envs.raycast import RayCamera
from envs.views import fixed_camera
from mfpolicy.errors import ConfigError, did_you_mean
from mfpolicy.pointcloud import (
    Disturbance,
    PointCloudRecipe,
    cloud_of_cameras,
    points_from_depth,
)
from mfpolicy.types import RAYCAST

if TYPE_CHECKING:
    import mujoco


class CloudCamera:
    """Moves the recipe's cameras to their places and turns what they see into point clouds.

    Args:
        model: the scene; its cameras' poses are set.
        data: the scene's state, rendered as it stands.
        recipe: which cameras, where, how large, what is kept, how many points.
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
        for view in recipe.views:
            camera_id = fixed_camera(model, view.camera)
            model.cam_pos[camera_id] = view.camera_position
            if view.camera_orientation is not None:
                quaternion = np.array(view.camera_orientation)
                model.cam_quat[camera_id] = quaternion / np.linalg.norm(quaternion)
        self._cameras = [camera(model, v.camera, width=size, height=size) for v in recipe.views]
        self._model = model
        self._hidden_geoms = _geoms_of(model, recipe.hidden_bodies)
        mujoco.mj_forward(model, data)
        self._data = data
        self._recipe, self._disturbance = recipe, disturbance
        self._unnoticed_m = np.zeros(3)
        self.points_ms = self.render_ms = 0.0

    def describe(self) -> dict[str, Any]:
        """Intrinsics, pose and image size of the first camera, and of further ones beside it."""
        first, *further = [
            {
                "intrinsics": camera.intrinsics().tolist(),
                "T_world_cam": camera.T_world_cam(self._data).tolist(),
                "image_size": self._recipe.image_size,
            }
            for camera in self._cameras
        ]
        return {**first, **({"further_cameras": further} if further else {})}

    def move(self, offset_m: NDArray[np.float64], *, believed: bool) -> None:
        """Sets every camera this far (3,) from its place, from the next ``mj_forward`` on.

        Args:
            offset_m: world frame, metres.
            believed: whether it is still believed at its place, so that points come out displaced.
        """
        for camera, view in zip(self._cameras, self._recipe.views, strict=True):
            self._model.cam_pos[camera.camera_id] = np.array(view.camera_position) + offset_m
        self._unnoticed_m = offset_m if believed else np.zeros(3)

    def cloud(self) -> NDArray[np.float32]:
        """(P, 3) points, world frame, metres.

        Raises:
            ObservationError: no point lies in the crop box.
            BackendError: the backend does not start.
        """
        return self._points(self._images(color=False))

    def colored_cloud(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """The points of `cloud`, and the color (P, 3) of each."""
        points = self._points(self._images(color=True))
        return points[:, :3].copy(), points[:, 3:].astype(np.uint8)

    def colored_cloud_and_images(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8]]:
        """`colored_cloud`, and what it was made of: depth (H, W) in metres, colors (H, W, 3)."""
        depth, image = self.images(color=True)
        assert image is not None
        points = self._points([(depth, image)])
        return points[:, :3].copy(), points[:, 3:].astype(np.uint8), depth, image

    def images(self, *, color: bool) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
        """Depth (H, W) in metres and, where asked for, colors (H, W, 3).

        Raises:
            ConfigError: there are several cameras.
        """
        if len(self._cameras) > 1:
            raise ConfigError(
                "images are given of a single camera",
                received=[view.camera for view in self._recipe.views],
                remedy="choose one camera, or do without the images",
            )
        return self._images(color=color)[0]

    def close(self) -> None:
        """Frees what renders, for good; a second call does nothing."""
        for camera in self._cameras:
            camera.close()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Makes the recipe's hidden bodies invisible, to MuJoCo's own rays as well."""
        model, geoms = self._model, self._hidden_geoms
        colors, materials = model.geom_rgba[geoms], model.geom_matid[geoms]  # copies
        model.geom_rgba[geoms, 3], model.geom_matid[geoms] = 0, -1
        try:
            yield
        finally:
            model.geom_rgba[geoms], model.geom_matid[geoms] = colors, materials

    def _images(self, *, color: bool) -> list[tuple[NDArray[np.float32], NDArray[np.uint8] | None]]:
        """Depth and colors of every camera."""
        seen, self.render_ms = [], 0.0
        with self.hidden():
            for camera in self._cameras:
                image = camera.color(self._data) if color else None
                started = time.perf_counter()
                seen.append((camera.depth(self._data), image))
                self.render_ms += 1e3 * (time.perf_counter() - started)
        return seen

    def _points(
        self, seen: Sequence[tuple[NDArray[np.float32], NDArray[np.uint8] | None]]
    ) -> NDArray[np.float32]:
        """(P, 3), or (P, 6) with colors from the images: unproject, crop, sample."""
        started = time.perf_counter()
        points = [
            points_from_depth(
                depth,
                camera.intrinsics(),
                self._believed_pose(camera),
                self._recipe,
                image=image,
                disturbance=self._disturbance,
            )
            for camera, (depth, image) in zip(self._cameras, seen, strict=True)
        ]
        chosen = cloud_of_cameras(points, self._recipe, disturbance=self._disturbance)
        self.points_ms = 1e3 * (time.perf_counter() - started)
        return chosen

    def _believed_pose(self, camera: PinholeCamera) -> NDArray[np.float64]:
        pose = camera.T_world_cam(self._data)
        pose[:3, 3] -= self._unnoticed_m
        return pose


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
