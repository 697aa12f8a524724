"""A camera of a MuJoCo scene: metric depth and colour images, intrinsics and pose.

An `OffscreenCamera` owns its OpenGL context. It does not use ``mujoco.Renderer`` because that
frees its context before the objects that live in it: with two renderers in a process, closing
one damages the other.
"""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled names have no stubs)
from __future__ import annotations

import atexit
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from envs.gl import new_context
from mfpolicy.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    import mujoco

_OPTICAL = np.diag([1.0, -1.0, -1.0])  # MuJoCo cameras look along -z with y up
_ANTIALIAS_SAMPLES = 4


class OffscreenCamera:
    """A fixed camera of a MuJoCo model with an image size and an OpenGL context of its own.

    The context is made by the first image, in the process that asks for it.

    Args:
        model: the MuJoCo model.
        name: name of one of its cameras.
        width, height: image size, pixels.
        antialias: smooth edges; wanted for pictures, useless for depth.

    Raises:
        ConfigError: the model has no such camera.

    Example:
        >>> import mujoco
        >>> model = mujoco.MjModel.from_xml_string(
        ...     "<mujoco><worldbody><camera name='top' pos='0 0 2'/>"
        ...     "<geom type='plane' size='1 1 1'/></worldbody></mujoco>")
        >>> data = mujoco.MjData(model)
        >>> mujoco.mj_forward(model, data)
        >>> camera = OffscreenCamera(model, "top", width=32, height=32)
        >>> float(camera.depth(data)[16, 16].round(4))
        2.0
        >>> camera.close()
    """

    def __init__(
        self, model: mujoco.MjModel, name: str, *, width: int, height: int, antialias: bool = False
    ) -> None:
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
        self._samples = _ANTIALIAS_SAMPLES if antialias else 0
        self._canvas: _Canvas | None = None

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

    def depth(self, data: mujoco.MjData) -> NDArray[np.float32]:
        """(H, W) float32, distance along the optical axis in metres; top row first.

        Where a ray meets nothing, the depth is that of the far clipping plane.

        Raises:
            BackendError: no OpenGL backend works here.
        """
        buffer = self._open().draw(data, self.camera_id, depth=True)
        planes, extent = self.model.vis.map, self.model.stat.extent
        near, far = planes.znear * extent, planes.zfar * extent
        # Reversed z-buffer: 1 at the near plane, 0 at the far plane, linear in 1/depth.
        inverse = 1 / far + buffer.astype(np.float64) * (1 / near - 1 / far)
        return np.flipud(1 / inverse).astype(np.float32)

    def color(self, data: mujoco.MjData) -> NDArray[np.uint8]:
        """(H, W, 3) uint8; top row first; without shadows and reflections (3 × faster).

        Raises:
            BackendError: no OpenGL backend works here.
        """
        return np.flipud(self._open().draw(data, self.camera_id, depth=False)).copy()

    def close(self) -> None:
        """Frees the OpenGL context; the next image makes a new one."""
        if self._canvas is not None:
            self._canvas.free()
        self._canvas = None

    def __del__(self) -> None:
        if getattr(self, "_canvas", None) is not None:
            self.close()

    def _open(self) -> _Canvas:
        if self._canvas is None:
            self._canvas = _Canvas(self.model, self.width, self.height, samples=self._samples)
        return self._canvas


class _Canvas:
    """An OpenGL context with MuJoCo's scene and drawing resources in it."""

    def __init__(self, model: mujoco.MjModel, width: int, height: int, *, samples: int) -> None:
        self._gl = new_context(width, height)
        import mujoco

        self._mujoco = mujoco
        self._model = model
        self._shape = (height, width)
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._gl.make_current()
        self._resources = self._upload(model, width, height, samples)
        self._scene = mujoco.MjvScene(model, maxgeom=2000)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.flags[flag.value] = False
        self._option = mujoco.MjvOption()
        self._view = mujoco.MjvCamera()
        self._view.type = mujoco.mjtCamera.mjCAMERA_FIXED.value
        _open_canvases.add(self)
        # After the backend's own exit hook, hence called before it: contexts go before displays.
        atexit.register(_free_open_canvases)

    def _upload(
        self, model: mujoco.MjModel, width: int, height: int, samples: int
    ) -> mujoco.MjrContext:
        """MuJoCo's meshes and buffers in the current OpenGL context; the model stays as it was."""
        mujoco = self._mujoco
        quality, screen = model.vis.quality, model.vis.global_
        before = (quality.offsamples, quality.shadowsize, screen.offwidth, screen.offheight)
        # The shadow map is not used, and would take most of the time to make a context.
        quality.offsamples, quality.shadowsize = samples, 0
        screen.offwidth, screen.offheight = width, height
        resources = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
        quality.offsamples, quality.shadowsize, screen.offwidth, screen.offheight = before
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, resources)
        resources.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR.value
        return resources

    def draw(self, data: mujoco.MjData, camera_id: int, *, depth: bool) -> NDArray[Any]:
        """The raw depth buffer (H, W) float32 or colours (H, W, 3) uint8, bottom row first."""
        mujoco = self._mujoco
        self._view.fixedcamid = camera_id
        every = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(
            self._model, data, self._option, None, self._view, every, self._scene
        )
        # Drawing for segmentation leaves out light and texture, which depth does not need.
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT.value] = depth
        self._gl.make_current()
        mujoco.mjr_render(self._rect, self._scene, self._resources)
        shape = self._shape if depth else (*self._shape, 3)
        image = np.empty(shape, dtype=np.float32 if depth else np.uint8)
        targets = (None, image) if depth else (image, None)
        mujoco.mjr_readPixels(*targets, self._rect, self._resources)
        return image

    def free(self) -> None:
        """Frees the resources, then the context they live in."""
        _open_canvases.discard(self)
        self._gl.make_current()
        self._resources.free()
        self._gl.free()


_open_canvases: weakref.WeakSet[_Canvas] = weakref.WeakSet()


def _free_open_canvases() -> None:
    for canvas in list(_open_canvases):
        canvas.free()
