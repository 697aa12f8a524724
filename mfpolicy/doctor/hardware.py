"""What the machine itself offers: rendering, compute, disk."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mfpolicy.doctor.check import Check
from mfpolicy.errors import UserError
from mfpolicy.types import RAYCAST

GL_BACKENDS = {"Linux": ("egl", "osmesa")}
OTHER_GL = ("glfw",)
PROBE_TIMEOUT_S = 60.0
LOW_DISK_GB, NO_DISK_GB = 5.0, 0.5


def check_rendering() -> list[Check]:
    """Renders with every backend of this system, and says which one is used.

    One OpenGL backend is enough; without any, clouds are made by casting rays, and there are no
    pictures; without that, nothing is rendered.
    """
    opengl = [probe_backend(name) for name in GL_BACKENDS.get(platform.system(), OTHER_GL)]
    rays = probe_backend(RAYCAST)
    if any(check.status == "ok" for check in opengl):
        failed = "optional"
    else:
        failed = "warning" if rays.status == "ok" else "missing"
    checks = [c if c.status == "ok" else replace(c, status=failed) for c in (*opengl, rays)]
    return [*checks, check_choice(checks)]


def check_choice(probed: Sequence[Check]) -> Check:
    """The backend that commands use here, and whether it was among those that render."""
    name = "rendering"
    try:
        from envs.gl import RENDER_VARIABLE, choose_backend

        chosen = choose_backend()
    except UserError as error:
        return Check(name, "missing", f"{error.rule}. Received: {error.received}", error.remedy)
    except ImportError as error:  # another package of this name; check_import_name says so
        return Check(name, "missing", str(error), "see the check of import envs")
    used = f"{chosen} is used; {RENDER_VARIABLE}=egl, osmesa or raycast asks for another"
    (found,) = [check for check in probed if check.name == _title(chosen)] or [None]
    if found is None or found.status != "ok":
        working = [c.name.partition("(")[2][:-1] for c in probed if c.status == "ok"]
        remedy = f"set {RENDER_VARIABLE}={working[0]}" if working else _how_to_get(chosen)
        return Check(name, "missing", f"{chosen} is used, and does not render", remedy)
    if chosen == RAYCAST:
        detail = f"{used}. Clouds are slower, and there are no pictures and videos"
        return Check(name, "warning", detail, _how_to_get("egl"))
    return Check(name, "ok", used)


def probe_backend(backend: str, *, timeout_s: float = PROBE_TIMEOUT_S) -> Check:
    """Renders a known scene with ``backend`` in a process of its own, so that none can hang us."""
    name = _title(backend)
    remedy = _how_to_get(backend)
    environment = {"MFPOLICY_RENDER": backend}
    if backend in ("egl", "osmesa"):
        environment["PYOPENGL_PLATFORM"] = backend
    output, failure = _run_python("-m", "mfpolicy.doctor.gl_probe", timeout_s, environment)
    if failure:
        return Check(name, "warning", f"does not render: {failure}", remedy)
    found = json.loads(output.splitlines()[-1])
    if abs(found["depth_m"] - found["distance_m"]) > 0.01:
        detail = f"a ball at {found['distance_m']} m appears at {found['depth_m']:.3f} m"
        return Check(name, "warning", detail, "use another backend: set MFPOLICY_RENDER")
    return Check(name, "ok", f"{found['frame_ms']:.1f} ms a 128-px frame, {found['device']}")


def check_open3d() -> Check:
    """open3d finds the system libraries that its wheel does not bring."""
    _, failure = _run_python("-c", "import open3d", PROBE_TIMEOUT_S, {})
    if failure:
        remedy = "apt-get install libusb-1.0-0 libgl1 libegl1 libgomp1 libx11-6"
        return Check("open3d loads", "warning", failure, remedy)
    return Check("open3d loads", "ok", "its system libraries are here")


def check_torch() -> list[Check]:
    """PyTorch computes; its threads and devices."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return [Check("compute", "missing", str(error), "pip install torch==2.13.0")]
    threads = f"{torch.get_num_threads()} threads on {os.cpu_count()} cores"
    checks = [_try_device("cpu", f"{torch.__version__}, {threads}")]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        detail = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
        checks.append(_try_device(f"cuda:{index}", detail))
    if torch.backends.mps.is_available():
        checks.append(_try_device("mps", platform.processor()))
    return checks


def check_disk(folder: Path) -> Check:
    """Room for datasets and runs where the command is run."""
    free_gb = shutil.disk_usage(folder).free / 1e9
    detail = f"{free_gb:.1f} GB free in {folder.resolve()}"
    if free_gb < NO_DISK_GB:
        return Check("disk", "missing", detail, "free some space or run elsewhere")
    if free_gb < LOW_DISK_GB:
        return Check("disk", "warning", detail, "free some space: a large run takes gigabytes")
    return Check("disk", "ok", detail)


def _try_device(device: str, detail: str) -> Check:
    import torch

    try:
        total = torch.ones(8, 8, device=device).matmul(torch.ones(8, 8, device=device)).sum()
        works = total.item() == 512.0
        reason = "a product of ones came out wrong"
    except RuntimeError as error:
        works, reason = False, str(error).partition("\n")[0]
    if works:
        return Check(f"compute ({device})", "ok", detail)
    status = "missing" if device == "cpu" else "warning"
    remedy = "reinstall torch" if device == "cpu" else "check the driver, or use device=cpu"
    return Check(f"compute ({device})", status, f"{detail}: {reason}", remedy)


def _title(backend: str) -> str:
    return f"rendering ({backend})"


def _how_to_get(backend: str) -> str:
    if backend == RAYCAST:
        return "reinstall mujoco and numba"
    try:
        from envs.gl import BACKENDS
    except ImportError:  # another package of this name; check_import_name says so
        BACKENDS = {}
    packages = BACKENDS.get(backend)
    return f"apt-get install {packages}" if packages else "install the graphics driver"


def _run_python(
    flag: str, what: str, timeout_s: float, environment: dict[str, str]
) -> tuple[str, str]:
    """Runs a child interpreter; returns its output, and why it failed (empty if it did not)."""
    try:
        done = subprocess.run(
            [sys.executable, flag, what],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer within {timeout_s:g} s"
    if done.returncode == 0:
        return done.stdout, ""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line]
    reason = (errors or lines or [f"the process ended with status {done.returncode}"])[-1]
    return "", reason[:200]
