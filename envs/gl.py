"""Which OpenGL backend this process renders with: EGL or OSMesa, probed before one is bound."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from functools import cache
from typing import Any

from mfpolicy.errors import BackendError

BACKENDS = {"egl": "libegl1 libegl-mesa0 libgl1-mesa-dri", "osmesa": "libosmesa6"}
"""Headless OpenGL backends in order of preference, and the Debian packages that bring them."""


def select_backend() -> str:
    """Chooses the OpenGL backend of this process and announces it in ``MUJOCO_GL``.

    A ``MUJOCO_GL`` that is already set is obeyed; otherwise EGL is preferred to OSMesa. Nothing
    is rendered. Child processes inherit the choice.

    Returns:
        ``egl``, ``osmesa`` or, on request and outside Linux, ``glfw``.

    Raises:
        BackendError: no backend works here; the message names the Debian package.
    """
    requested = os.environ.get("MUJOCO_GL", "").strip().lower()
    if requested and requested not in (*BACKENDS, "glfw"):
        raise BackendError(
            "MUJOCO_GL must be egl, osmesa or glfw", received=requested, remedy="unset MUJOCO_GL"
        )
    if requested == "glfw" or not sys.platform.startswith("linux"):
        return "glfw"
    for name in [requested] if requested else BACKENDS:
        if backend_works(name):
            os.environ["MUJOCO_GL"] = name
            return name
    if requested:
        raise BackendError(
            "MUJOCO_GL must name an OpenGL backend that works on this machine",
            received=requested,
            remedy=f"apt-get install {BACKENDS[requested]}, or unset MUJOCO_GL",
        )
    raise BackendError(
        "rendering needs OpenGL through EGL or OSMesa, and neither works on this machine",
        remedy=f"apt-get install {BACKENDS['egl']}, or apt-get install {BACKENDS['osmesa']}",
    )


def new_context(width: int, height: int) -> Any:
    """A new OpenGL context of the chosen backend, not yet current.

    It is MuJoCo's own class, taken from the backend's module: what ``import mujoco`` chose may
    date from before the choice.

    Raises:
        BackendError: no backend works here, or the chosen one does not start.
    """
    backend = select_backend()
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
