"""The OpenGL backend: which one is chosen, what is said when none works, what both agree on."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from envs import gl
from mfpolicy.errors import BackendError
from mfpolicy.types import RAYCAST

WORKING = [name for name in gl.BACKENDS if gl.backend_works(name)]

DEPTH_OF_A_TASK = """
import sys, envs
env = envs.make("metaworld/drawer-open", points=64)
sys.stdout.buffer.write(env.reset(seed=3)[0]["point_cloud"].tobytes())
"""


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restores the variables that ask for a backend afterwards; starts without them."""
    for variable in ("MUJOCO_GL", gl.RENDER_VARIABLE):
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)


def pretend(monkeypatch: pytest.MonkeyPatch, *working: str) -> None:
    monkeypatch.setattr(gl, "backend_works", lambda name: name in working)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    everything = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    everything.pop("PYOPENGL_PLATFORM", None)  # the backend of this process, not of the child
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**everything, **environment},
        capture_output=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("working", "chosen"),
    [(("egl", "osmesa"), "egl"), (("osmesa",), "osmesa"), (("egl",), "egl")],
)
def test_egl_comes_before_osmesa_and_children_inherit(
    monkeypatch: pytest.MonkeyPatch, working: tuple[str, ...], chosen: str
) -> None:
    pretend(monkeypatch, *working)
    assert gl.select_backend() == chosen
    assert os.environ["MUJOCO_GL"] == chosen


def test_a_request_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "egl", "osmesa")
    monkeypatch.setenv("MUJOCO_GL", "OSMesa")
    assert gl.select_backend() == "osmesa"


@pytest.mark.parametrize(
    ("requested", "said"),
    [
        ("egl", "Received: 'egl'. apt-get install libegl1"),
        ("osmesa", "Received: 'osmesa'. apt-get install libosmesa6"),
        ("vulkan", "must be egl, osmesa, glfw or off. Received: 'vulkan'"),
    ],
)
def test_the_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, requested: str, said: str
) -> None:
    pretend(monkeypatch)
    monkeypatch.setenv("MUJOCO_GL", requested)
    with pytest.raises(BackendError, match=said):
        gl.select_backend()


@pytest.mark.parametrize("asked", [{"MFPOLICY_RENDER": "raycast"}, {"MUJOCO_GL": "off"}])
def test_rays_are_cast_on_request_without_a_warning(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, str]
) -> None:
    pretend(monkeypatch, "egl")
    for variable, value in asked.items():
        monkeypatch.setenv(variable, value)
    assert gl.select_backend() == RAYCAST  # a warning would be an error here


def test_our_variable_counts_before_that_of_mujoco(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "egl", "osmesa")
    monkeypatch.setenv("MUJOCO_GL", "egl")
    monkeypatch.setenv(gl.RENDER_VARIABLE, "osmesa")
    assert gl.select_backend() == os.environ["MUJOCO_GL"] == "osmesa"
    monkeypatch.setenv(gl.RENDER_VARIABLE, "vulkan")
    with pytest.raises(BackendError, match="MFPOLICY_RENDER must be egl, osmesa, glfw or raycast"):
        gl.select_backend()


def test_without_opengl_rays_are_cast_and_one_warning_names_the_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch)
    with pytest.warns(UserWarning, match="casting rays.*libegl1 libegl-mesa0 .*libosmesa6"):
        assert gl.select_backend() == RAYCAST
    assert gl.select_backend() == RAYCAST  # children, which inherit this, do not warn either
    with pytest.raises(BackendError, match="pictures and videos need OpenGL.*libosmesa6"):
        gl.require_opengl()


def test_choosing_without_announcing_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    before = dict(os.environ)
    assert gl.choose_backend() == RAYCAST
    assert dict(os.environ) == before


def test_libegl_without_a_driver_does_not_count() -> None:
    code = "import envs.gl; print(envs.gl.backend_works('egl'))"
    done = run_python(code, __EGL_VENDOR_LIBRARY_FILENAMES="/nonexistent.json")
    assert done.stdout.decode().strip() == "False", done.stderr.decode()


def test_make_refuses_before_it_simulates() -> None:
    code = (
        "import sys, envs\nfrom mfpolicy.errors import BackendError\n"
        "try: envs.make('metaworld/reach')\n"
        "except BackendError as error: print(error, 'metaworld' in sys.modules)\n"
    )
    done = run_python(code, __EGL_VENDOR_LIBRARY_FILENAMES="/nonexistent.json", MUJOCO_GL="egl")
    assert done.stdout.decode().strip().endswith("or unset MUJOCO_GL. False"), done.stderr.decode()


def test_a_backend_that_fails_to_start_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gl, "select_backend", lambda: "absent")
    with pytest.raises(BackendError, match="backend absent must start.*ModuleNotFoundError"):
        gl.new_context(8, 8)


@pytest.mark.render
def test_every_working_backend_sees_the_same_cloud_and_exits_quietly() -> None:
    assert WORKING
    clouds = []
    for name in WORKING:
        done = run_python(DEPTH_OF_A_TASK, MUJOCO_GL=name)
        assert done.returncode == 0
        assert done.stderr == b"", done.stderr.decode()
        clouds.append(np.frombuffer(done.stdout, np.float32).reshape(64, 3))
    assert all(np.array_equal(cloud, clouds[0]) for cloud in clouds)
    assert np.ptp(clouds[0], axis=0).min() > 0.1


@pytest.mark.render
def test_mujoco_imported_first_changes_nothing() -> None:
    done = run_python("import mujoco, metaworld\n" + DEPTH_OF_A_TASK)
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout) == 64 * 3 * 4
