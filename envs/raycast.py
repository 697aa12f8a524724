"""Depth and flat color of a MuJoCo camera by casting rays: the fallback without any OpenGL.

What is cast is what MuJoCo would draw (`DrawnScene`): the same geoms, sites and tendons, by the
same groups, alphas and clipping planes. Where OpenGL draws a polyhedron in place of a sphere or a
cylinder, rays meet the exact surface. Skins, flexes and signed distance fields are not seen, and
a mesh is also seen from its inside.

``mj_ray`` would see geoms only, and ``mj_multiRay`` of MuJoCo 3.3.0 loses whole regions, so every
object is cast by itself, over the pixels that its bounding box covers.
"""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled names have no stubs)
from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.drawn_scene import DrawnScene
from envs.pinhole import PinholeCamera

if TYPE_CHECKING:
    import mujoco

_PLANE, _HEIGHT_FIELD, _MESH = 0, 1, 7  # mjtGeom
_LONG = (3, 5)  # capsule, cylinder
_SEEN = (_PLANE, _HEIGHT_FIELD, 2, 3, 4, 5, 6, _MESH)
_CORNERS = np.stack(np.meshgrid(*[[-1.0, 1.0]] * 3), axis=-1).reshape(8, 3)


class RayCamera(PinholeCamera):
    """A fixed camera of a MuJoCo model that casts one ray through the center of each pixel.

    Args:
        model: the MuJoCo model.
        name: name of one of its cameras.
        width, height: image size, pixels.

    Raises:
        ConfigError: the model has no such camera.

    Example:
        >>> import mujoco
        >>> model = mujoco.MjModel.from_xml_string(
        ...     "<mujoco><worldbody><camera name='top' pos='0 0 2'/>"
        ...     "<geom type='plane' size='1 1 1'/></worldbody></mujoco>")
        >>> data = mujoco.MjData(model)
        >>> mujoco.mj_forward(model, data)
        >>> camera = RayCamera(model, "top", width=32, height=32)
        >>> float(camera.depth(data)[16, 16].round(4))
        2.0
        >>> camera.close()
    """

    def __init__(self, model: mujoco.MjModel, name: str, *, width: int, height: int) -> None:
        super().__init__(model, name, width=width, height=height)
        self._scene = DrawnScene(model, self.camera_id)

    def depth(self, data: mujoco.MjData) -> NDArray[np.float32]:
        """As `PinholeCamera.depth`."""
        return self._cast(data)[0].astype(np.float32)

    def color(self, data: mujoco.MjData) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, the color of the object met, without light and texture; else black.

        Raises:
            ObservationError: the camera was closed.
        """
        _, met, objects = self._cast(data)
        palette = np.concatenate([objects.rgb, np.zeros((1, 3))])  # index -1 takes the last
        return np.rint(255 * palette[met]).astype(np.uint8)

    def _cast(self, data: mujoco.MjData) -> tuple[NDArray[np.float64], NDArray[np.int32], _Objects]:
        """Depth (H, W) in metres, and the index (H, W) of what is met, -1 where nothing is."""
        from envs.ray_kernel import cast_rays

        self._require_open()
        self._scene.update(data)
        objects = _drawn_objects(self.model, self._scene.content)
        pose, intrinsics = self.T_world_cam(data), self.intrinsics()
        _turn_planes_towards(pose[:3, 3], objects)
        near, far = self.clipping_planes()
        windows, nearest = self._windows(objects, pose, near)
        order = np.argsort(nearest, kind="stable")  # near objects first, so that they hide others
        depth = np.full((self.height, self.width), far)
        met = np.full((self.height, self.width), -1, np.int32)
        rays = self._directions(intrinsics) @ pose[:3, :3].T
        cast_rays(
            self.model, data, order, objects, windows, nearest, pose[:3, 3], rays, near, depth, met
        )
        return depth, met, objects

    def _directions(self, intrinsics: NDArray[np.float64]) -> NDArray[np.float64]:
        """(H, W, 3) rays through the pixel centers in the optical frame, of depth 1."""
        column = (np.arange(self.width) + 0.5 - intrinsics[0, 2]) / intrinsics[0, 0]
        row = (np.arange(self.height) + 0.5 - intrinsics[1, 2]) / intrinsics[1, 1]
        x, y = np.meshgrid(column, row)
        return np.stack([x, y, np.ones_like(x)], axis=-1)

    def _windows(
        self, objects: _Objects, pose: NDArray[np.float64], near: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Per object the pixels (N, 4) row from, to, column from, to; and its least depth (N,)."""
        local = objects.center[:, None] + objects.half[:, None] * _CORNERS  # (N, 8, 3)
        world = local @ objects.rotation.transpose(0, 2, 1) + objects.position[:, None]
        seen = (world - pose[:3, 3]) @ pose[:3, :3]
        nearest = np.where(objects.kind == _PLANE, -np.inf, seen[..., 2].min(axis=1))
        whole = np.array([0, self.height, 0, self.width])
        limits = np.tile(whole, (len(nearest), 1))
        intrinsics = self.intrinsics()
        ahead = (
            nearest > near
        )  # a plane, or what reaches behind the near plane, may cover any pixel
        pixels = seen[ahead, :, :2] / seen[ahead, :, 2:] * intrinsics[0, 0] + intrinsics[:2, 2]
        low, high = np.floor(pixels.min(axis=1)), np.ceil(pixels.max(axis=1))
        limits[ahead] = np.stack([low[:, 1], high[:, 1], low[:, 0], high[:, 0]], axis=1)
        limits[:, :2] = limits[:, :2].clip(0, self.height)
        limits[:, 2:] = limits[:, 2:].clip(0, self.width)
        return limits, nearest


class _Objects(NamedTuple):
    """N drawn objects: kind (N,), geom (N,) of those that have a shape of their own, pose, size.

    ``center`` and ``half`` (N, 3) are the bounding box in the object's frame; ``rgb`` in [0, 1].
    """

    kind: NDArray[np.int32]
    geom: NDArray[np.int32]
    position: NDArray[np.float64]
    rotation: NDArray[np.float64]
    size: NDArray[np.float64]
    center: NDArray[np.float64]
    half: NDArray[np.float64]
    rgb: NDArray[np.float64]


def _turn_planes_towards(eye: NDArray[np.float64], objects: _Objects) -> None:
    """Planes are drawn from both sides, but met by rays from above only."""
    height = np.einsum("ij,ij->i", eye - objects.position, objects.rotation[..., 2])
    objects.rotation[(objects.kind == _PLANE) & (height < 0), :, 1:] *= -1


def _drawn_objects(model: mujoco.MjModel, scene: Any) -> _Objects:
    drawn = [geom for geom in (scene.geoms[i] for i in range(scene.ngeom)) if geom.type in _SEEN]
    count = len(drawn)
    kind = np.array([geom.type for geom in drawn], np.int32)
    index = np.array([geom.objid for geom in drawn], np.int32)
    half = np.array([geom.size for geom in drawn], np.float64).reshape(count, 3)
    size, center = half.copy(), np.zeros((count, 3))
    long = np.isin(kind, _LONG)
    size[long] = half[long][:, [0, 2, 1]]  # drawn: radius twice, half length; cast: the reverse
    half[kind == 3, 2] += half[kind == 3, 0]
    shaped = np.isin(kind, (_HEIGHT_FIELD, _MESH))
    box = model.geom_aabb[index[shaped]]
    center[shaped], half[shaped] = box[:, :3], box[:, 3:]
    return _Objects(
        kind,
        index,
        np.array([geom.pos for geom in drawn], np.float64).reshape(count, 3),
        np.array([geom.mat for geom in drawn], np.float64).reshape(count, 3, 3),
        size,
        center,
        half,
        np.array([geom.rgba[:3] for geom in drawn], np.float64).reshape(count, 3),
    )
