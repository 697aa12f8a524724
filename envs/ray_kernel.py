"""The loop over objects and pixels, compiled: each step is one call of MuJoCo's own C function."""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled names have no stubs)
from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfpolicy.errors import BackendError

if TYPE_CHECKING:
    import mujoco

    from envs.raycast import _Objects

_PLANE, _HEIGHT_FIELD, _MESH = 0, 1, 7  # mjtGeom


def cast_rays(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    order: NDArray[np.int64],
    objects: _Objects,
    windows: NDArray[np.int64],
    nearest: NDArray[np.float64],
    eye: NDArray[np.float64],
    rays: NDArray[np.float64],
    near: float,
    depth: NDArray[np.float64],
    met: NDArray[np.int32],
) -> None:
    """Lowers ``depth`` (H, W) to that of the nearest object beyond ``near``; its index in ``met``.

    Args:
        model: the scene, for the shapes that objects do not carry with them.
        data: its state.
        order: the sequence in which objects are cast, near ones first.
        objects: what is cast.
        windows: (N, 4) pixels an object may cover: row from, to, column from, to.
        nearest: (N,) no point of the object has less depth.
        eye: (3,) where rays start, world frame.
        rays: (H, W, 3) directions of depth 1, world frame.
        near: depth of the near plane, metres; what lies before it is not seen.
        depth: changed in place.
        met: changed in place.

    Raises:
        BackendError: MuJoCo's library is not where its package brings it.
    """
    kernel = _compiled_kernel()
    kernel(
        model._address, data._address, order, objects.kind, objects.geom, objects.position,
        objects.rotation, objects.size, windows, nearest, eye, np.ascontiguousarray(rays), near,
        depth, met,
    )  # fmt: skip


@cache
def _compiled_kernel() -> Callable[..., None]:
    """Takes about a second, once a process."""
    from numba import njit

    library = _library()
    address, real = ctypes.c_size_t, ctypes.c_double
    ray_geom, ray_mesh, ray_field = (
        getattr(library, name) for name in ("mju_rayGeom", "mj_rayMesh", "mj_rayHfield")
    )
    ray_geom.argtypes, ray_geom.restype = [*[address] * 5, ctypes.c_int], real
    for function in (ray_mesh, ray_field):
        function.argtypes = [address, address, ctypes.c_int, address, address]
        function.restype = real

    @njit(nogil=True)
    def kernel(
        model: Any, data: Any, order: Any, kind: Any, geom: Any, position: Any, rotation: Any,
        size: Any, windows: Any, nearest: Any, eye: Any, rays: Any, near: Any, depth: Any,
        met: Any,
    ) -> None:  # fmt: skip
        start, ray = np.empty(3), np.empty(3)
        start_at, ray_at = start.ctypes.data, ray.ctypes.data
        for i in order:
            place, turn = position[i].ctypes.data, rotation[i].ctypes.data
            extents = size[i].ctypes.data
            for row in range(windows[i, 0], windows[i, 1]):
                for column in range(windows[i, 2], windows[i, 3]):
                    if depth[row, column] <= nearest[i]:
                        continue
                    for k in range(3):
                        ray[k] = rays[row, column, k]
                        start[k] = eye[k] + near * ray[k]
                    if kind[i] == _MESH:
                        found = ray_mesh(model, data, geom[i], start_at, ray_at)
                    elif kind[i] == _HEIGHT_FIELD:
                        found = ray_field(model, data, geom[i], start_at, ray_at)
                    else:
                        found = ray_geom(place, turn, extents, start_at, ray_at, kind[i])
                        if found >= 0 and nearest[i] <= near and kind[i] != _PLANE:
                            # Met behind as well: the ray starts inside, and inner faces are not
                            # drawn. True of these shapes since they are convex.
                            for k in range(3):
                                ray[k] = -ray[k]
                            if ray_geom(place, turn, extents, start_at, ray_at, kind[i]) >= 0:
                                continue
                    if found >= 0 and near + found < depth[row, column]:
                        depth[row, column] = near + found
                        met[row, column] = i

    return kernel


def _library() -> ctypes.CDLL:
    """MuJoCo's C library, the very one that its Python package has loaded."""
    import mujoco

    folder = Path(mujoco.__file__).parent
    names = ("libmujoco.so*", "libmujoco*.dylib", "mujoco.dll")
    found = [path for name in names for path in sorted(folder.glob(name))]
    if not found:
        raise BackendError(
            "casting rays needs MuJoCo's library beside its Python package",
            received=str(folder),
            remedy="reinstall mujoco, or get OpenGL: apt-get install libosmesa6",
        )
    return ctypes.CDLL(str(found[0]))
