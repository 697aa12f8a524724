"""What MuJoCo draws of a scene as one of its cameras sees it; needs no OpenGL."""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled names have no stubs)
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import mujoco

_MOST_OBJECTS = 2000


class DrawnScene:
    """MuJoCo's list of what is drawn: geoms, sites and tendons that groups and alpha leave visible.

    Args:
        model: the MuJoCo model.
        camera_id: index of the camera it is drawn for.

    Attributes:
        content: the ``mjvScene``; its ``geoms`` up to ``ngeom`` are what is drawn.
    """

    def __init__(self, model: mujoco.MjModel, camera_id: int) -> None:
        import mujoco

        self.content: Any = mujoco.MjvScene(model, maxgeom=_MOST_OBJECTS)
        self._model = model
        self._option = mujoco.MjvOption()
        self._view = mujoco.MjvCamera()
        self._view.type = mujoco.mjtCamera.mjCAMERA_FIXED.value
        self._view.fixedcamid = camera_id
        self._categories = mujoco.mjtCatBit.mjCAT_ALL.value
        self._update = mujoco.mjv_updateScene

    def update(self, data: mujoco.MjData) -> None:
        """Lists what is drawn of the state ``data``, as it stands."""
        self._update(
            self._model, data, self._option, None, self._view, self._categories, self.content
        )
