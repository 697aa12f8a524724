"""The whole way on a machine without OpenGL: the libraries of both backends refuse to load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.run_folders import write_run
from mfpolicy.data import open_dataset

NO_OPENGL = """
import ctypes

class Refusing(ctypes.CDLL):
    def __init__(self, name, *rest, **options):
        if any(library in str(name) for library in ("EGL", "OSMesa", "libGL", "OpenGL")):
            raise OSError(f"{name}: cannot open shared object file")
        super().__init__(name, *rest, **options)

ctypes.CDLL = Refusing
"""
TASK = "metaworld/button-press"
SMALL = ("suite.image_size=64", "store_extras=false")


@pytest.fixture
def mfpolicy(tmp_path: Path):
    """Returns a function that runs a command, and its workers, where OpenGL does not load."""
    (tmp_path / "sitecustomize.py").write_text(NO_OPENGL)
    everything = dict(os.environ)
    for name in ("MUJOCO_GL", "MFPOLICY_RENDER", "PYOPENGL_PLATFORM"):
        everything.pop(name, None)
    everything["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mfpolicy", *words]
        return subprocess.run(
            command, env=everything, capture_output=True, text=True, timeout=240, check=False
        )

    return run


@pytest.mark.slow
def test_collection_and_evaluation_work_and_say_what_is_missing(mfpolicy, tmp_path: Path) -> None:
    data, run = tmp_path / "data.zarr", tmp_path / "run"
    done = mfpolicy("collect", f"task={TASK}", f"out={data}", "episodes=1", "points=64", *SMALL)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("made by casting rays") == 1
    assert "apt-get install libegl1" in done.stderr
    dataset = open_dataset(data)
    assert dataset.spec.extra["renderer"] == "raycast"
    assert dataset.episode_count == 1
    write_run(
        run, task=TASK, recipe=dataset.spec.recipe.to_dict(), points=64,
        state_dim=dataset.spec.state_dim, action_dim=dataset.spec.action_dim,
        control_rate_hz=dataset.spec.control_rate_hz,
    )  # fmt: skip

    done = mfpolicy("eval", str(run), "episodes=2", "workers=2", "name=blind")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("made by casting rays") == 1  # the workers inherit the choice
    assert done.stderr.count("without videos: pictures and videos need OpenGL") == 1
    folder = run / "eval" / "blind"
    assert json.loads((folder / "summary.json").read_text())["episodes"] == 2
    assert json.loads((folder / "settings.json").read_text())["renderer"] == "raycast"
    assert "success" in (run / "README.md").read_text()
    assert not (run / "videos").exists()


@pytest.mark.slow
def test_the_doctor_says_what_is_used_and_what_to_install(mfpolicy) -> None:
    done = mfpolicy("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert checks["rendering (raycast)"]["status"] == "ok"
    assert checks["rendering"]["status"] == "warning"
    assert "libosmesa6" in checks["rendering (osmesa)"]["remedy"]
