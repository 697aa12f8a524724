"""A camera of a MuJoCo scene rendered with OpenGL: metric depth and colour images.

An `OffscreenCamera` owns its OpenGL context. It does not use ``mujoco.Renderer`` because that
frees its context before the objects that live in it: with two renderers in a process, closing
one damages the other.
"""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled names have no stubs)
from __future__ import annotations

import atexit
import weakref
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from envs.drawn_scene import DrawnScene
from envs.gl import new_context
from envs.pinhole import PinholeCamera

if TYPE_CHECKING:
    import mujoco

_ANTIALIAS_SAMPLES = 4


class OffscreenCamera(PinholeCamera):
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
        super().__init__(model, name, width=width, height=height)
        self._samples = _ANTIALIAS_SAMPLES if antialias else 0
        self._canvas: _Canvas | None = None

    def depth(self, data: mujoco.MjData) -> NDArray[np.float32]:
        """As `PinholeCamera.depth`."""
        buffer = self._open().draw(data, depth=True)
        near, far = self.clipping_planes()
        # Reversed z-buffer: 1 at the near plane, 0 at the far plane, linear in 1/depth.
        inverse = 1 / far + buffer.astype(np.float64) * (1 / near - 1 / far)
        return np.flipud(1 / inverse).astype(np.float32)

    def color(self, data: mujoco.MjData) -> NDArray[np.uint8]:
        """As `PinholeCamera.color`: shadows and reflections would take 3 × as long."""
        return np.flipud(self._open().draw(data, depth=False)).copy()

    def close(self) -> None:
        """Frees the OpenGL context, for good; a second call does nothing."""
        super().close()
        canvas, self._canvas = self._canvas, None
        if canvas is not None:
            canvas.free()

    def __del__(self) -> None:
        if getattr(self, "_canvas", None) is not None:
            self.close()

    def _open(self) -> _Canvas:
        self._require_open()
        if self._canvas is None:
            size = (self.width, self.height)
            self._canvas = _Canvas(self.model, self.camera_id, *size, samples=self._samples)
        return self._canvas


class _Canvas:
    """An OpenGL context with MuJoCo's scene and drawing resources in it."""

    def __init__(
        self, model: mujoco.MjModel, camera_id: int, width: int, height: int, *, samples: int
    ) -> None:
        self._gl = new_context(width, height)
        import mujoco

        self._mujoco = mujoco
        self._shape = (height, width)
        self._rect = mujoco.MjrRect(0, 0, width, height)
        try:
            self._gl.make_current()
            self._resources = self._upload(model, width, height, samples)
        except BaseException:
            self._gl.free()
            raise
        self._scene = DrawnScene(model, camera_id)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.content.flags[flag.value] = False
        _open_canvases.add(self)
        _free_at_exit()

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

    def draw(self, data: mujoco.MjData, *, depth: bool) -> NDArray[Any]:
        """The raw depth buffer (H, W) float32 or colours (H, W, 3) uint8, bottom row first."""
        mujoco, scene = self._mujoco, self._scene.content
        self._scene.update(data)
        # Drawing for segmentation leaves out light and texture, which depth does not need.
        scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT.value] = depth
        self._gl.make_current()
        mujoco.mjr_render(self._rect, scene, self._resources)
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


@cache
def _free_at_exit() -> None:
    """Called after the backend made its own exit hook, hence runs before it at the exit.

    Contexts must go before the display they belong to.
    """
    atexit.register(_free_open_canvases)


def _free_open_canvases() -> None:
    for canvas in list(_open_canvases):
        canvas.free()
