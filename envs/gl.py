"""What this process renders with: EGL or OSMesa, probed before one is bound, or rays."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import warnings
from functools import cache
from typing import Any

from mfpolicy.errors import BackendError
from mfpolicy.types import RAYCAST

BACKENDS = {"egl": "libegl1 libegl-mesa0 libgl1-mesa-dri", "osmesa": "libosmesa6"}
"""Headless OpenGL backends in order of preference, and the Debian packages that bring them."""

RENDER_VARIABLE = "MFPOLICY_RENDER"
"""The environment variable that asks for a backend; it counts before ``MUJOCO_GL``."""

_NO_GL = ("disable", "disabled", "off", "false", "0")  # values of MUJOCO_GL that MuJoCo knows


def select_backend() -> str:
    """Chooses the backend of this process as `choose_backend` does, and announces it.

    Child processes inherit the choice, through ``MUJOCO_GL`` and ``MFPOLICY_RENDER``. Where rays
    are cast because there is no OpenGL, a warning says so, once.

    Returns:
        ``egl``, ``osmesa``, ``raycast`` or, on request and outside Linux, ``glfw``.

    Raises:
        BackendError: the backend that was asked for does not exist or does not work here.
    """
    asked = _request()[1]
    name = choose_backend()
    if name == RAYCAST:
        if not asked:
            warnings.warn(f"{NO_OPENGL}. {how_to_get_gl()}", stacklevel=2)
        os.environ[RENDER_VARIABLE] = RAYCAST
        os.environ["MUJOCO_GL"] = "disable"  # else `import mujoco` may look for a window system
    elif name in BACKENDS:
        os.environ["MUJOCO_GL"] = name
    return name


NO_OPENGL = (
    "neither EGL nor OSMesa works on this machine: point clouds are made by casting rays, which is "
    "slower, and there are no pictures and videos"
)


def how_to_get_gl() -> str:
    """The remedy where there is no OpenGL."""
    return f"apt-get install {BACKENDS['egl']}, or apt-get install {BACKENDS['osmesa']}"


def choose_backend() -> str:
    """The backend that this process is to render with; changes nothing.

    ``MFPOLICY_RENDER``, else ``MUJOCO_GL``, is obeyed where it is set. Otherwise EGL is preferred
    to OSMesa, and rays are cast where neither works.

    Raises:
        BackendError: the backend that was asked for does not exist or does not work here.
    """
    variable, asked = _request()
    if asked and asked not in (*BACKENDS, "glfw", RAYCAST):
        known = "egl, osmesa, glfw" + (" or raycast" if variable == RENDER_VARIABLE else " or off")
        raise BackendError(
            f"{variable} must be {known}", received=asked, remedy=f"unset {variable}"
        )
    if asked in ("glfw", RAYCAST):
        return asked
    if not sys.platform.startswith("linux"):
        return "glfw"
    for name in [asked] if asked else BACKENDS:
        if backend_works(name):
            return name
    if asked:
        raise BackendError(
            f"{variable} must name a backend that works on this machine",
            received=asked,
            remedy=f"apt-get install {BACKENDS[asked]}, or unset {variable}",
        )
    return RAYCAST


def _request() -> tuple[str, str]:
    """The variable that asks for a backend, and what it asks for; empty where none does."""
    for variable in (RENDER_VARIABLE, "MUJOCO_GL"):
        if asked := os.environ.get(variable, "").strip().lower():
            no_gl = variable == "MUJOCO_GL" and asked in _NO_GL
            return variable, RAYCAST if no_gl else asked
    return "", ""


def require_opengl() -> str:
    """As `select_backend`, for pictures and videos, which rays do not make.

    Raises:
        BackendError: this process does without OpenGL, or what was asked for does not work.
    """
    backend = select_backend()
    if backend == RAYCAST:
        raise BackendError(
            "pictures and videos need OpenGL, and this process makes point clouds by casting rays",
            remedy=f"{how_to_get_gl()}; and set neither {RENDER_VARIABLE} nor MUJOCO_GL",
        )
    return backend


def new_context(width: int, height: int) -> Any:
    """A new OpenGL context of the chosen backend, not yet current.

    It is MuJoCo's own class, taken from the backend's module: what ``import mujoco`` chose may
    date from before the choice.

    Raises:
        BackendError: OpenGL is not used or does not work here, or does not start.
    """
    backend = require_opengl()
    try:
        return importlib.import_module(f"mujoco.{backend}").GLContext(width, height)
    except Exception as error:
        raise BackendError(
            f"the OpenGL backend {backend} must start",
            received=f"{type(error).__name__}: {error}",
            remedy=f"apt-get install {BACKENDS.get(backend, 'a desktop')}, "
            "and set neither MUJOCO_GL nor PYOPENGL_PLATFORM",
        ) from error


@cache
def backend_works(name: str) -> bool:
    """Whether the libraries of ``egl`` or ``osmesa`` load here and, for EGL, a device answers."""
    if name == "osmesa":
        return any(_load(library) for library in ("libOSMesa.so.8", "libOSMesa.so.6"))
    egl = _load("libEGL.so.1")
    return egl is not None and _egl_device_answers(egl)


def _load(library: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(library)
    except OSError:
        return None


def _egl_device_answers(egl: ctypes.CDLL) -> bool:
    """Whether some EGL device initialises: libEGL alone, without a driver, cannot render.

    Asked through ctypes because PyOpenGL binds one platform per process, for good.
    """
    pointer = ctypes.c_void_p
    egl.eglGetProcAddress.restype = pointer
    egl.eglInitialize.argtypes = [pointer, pointer, pointer]
    query_address = egl.eglGetProcAddress(b"eglQueryDevicesEXT")
    display_address = egl.eglGetProcAddress(b"eglGetPlatformDisplayEXT")
    if not query_address or not display_address:
        return False
    query_devices = ctypes.CFUNCTYPE(
        ctypes.c_uint, ctypes.c_int, ctypes.POINTER(pointer), ctypes.POINTER(ctypes.c_int)
    )(query_address)
    display_of = ctypes.CFUNCTYPE(pointer, ctypes.c_uint, pointer, pointer)(display_address)
    devices, count = (pointer * 16)(), ctypes.c_int(0)
    if not query_devices(len(devices), devices, ctypes.byref(count)):
        return False
    platform_device = 0x313F  # EGL_PLATFORM_DEVICE_EXT
    displays = (display_of(platform_device, device, None) for device in devices[: count.value])
    return any(display and egl.eglInitialize(display, None, None) for display in displays)
