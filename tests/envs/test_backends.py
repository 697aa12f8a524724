"""EGL, OSMesa and cast rays agree on every suite's scenes, and renderers leave nothing behind.

PyOpenGL binds one platform per process, so each backend renders in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial import KDTree

import envs
from envs import gl
from envs.suites import load_suite, suite_names
from mfpolicy.types import RAYCAST

OPENGL = [name for name in gl.BACKENDS if gl.backend_works(name)]
SEED, STEPS = 5, 15
IMAGE_PX = 128
NEAR_M = 3.0

RENDER = """
import sys, numpy as np, envs
out, steps, tasks = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
for task in tasks:
    env = envs.make(task, image_size=128, points=512)
    env.reset(seed=5)
    env.action_space.seed(0)
    for _ in range(steps):
        env.simulate(env.action_space.sample())
    observed = env.observe_full()
    with env._cloud_camera.hidden():
        depth = env._cloud_camera._cameras[0].depth(env._simulation.data)
    np.savez(f"{out}/{task.replace('/', '-')}.npz", depth=depth, renderer=env.renderer,
             cloud=observed["point_cloud"], color=observed["color"])
    env.close()
"""

LEAVE_NOTHING = """
import json, resource, sys, envs, numpy as np
from envs import camera
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20
first = envs.make("metaworld/reach", image_size=48, points=64)
cloud = first.reset(seed=3)[0]["point_cloud"]
sizes, wrong = [], 0
for turn in range(16):
    env = envs.make("metaworld/drawer-open", image_size=48 + turn % 3, points=64)
    env.reset(seed=3)
    again = first.observe()["point_cloud"]
    env.close()
    wrong += not np.array_equal(again, cloud)
    wrong += not np.array_equal(first.observe()["point_cloud"], cloud)
    sizes.append(resident())
first.close()
print(json.dumps({"wrong": wrong, "open": len(camera._open_canvases), "mib": sizes}))
"""


def scenes() -> list[str]:
    """Some tasks of each suite: all of a small one, every tenth of a large one."""
    chosen = []
    for name in suite_names():
        tasks = list(load_suite(name).tasks)
        chosen += tasks if len(tasks) <= 5 else tasks[::10]
    return chosen


def run_python(code: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    everything = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for name in ("PYOPENGL_PLATFORM", "MUJOCO_GL", gl.RENDER_VARIABLE):
        everything.pop(name, None)  # of this process
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**everything, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory):
    """Returns a function from a backend and a task to what that backend saw of it."""

    @cache
    def folder(backend: str) -> Path:
        path = tmp_path_factory.mktemp(backend)
        run_python(RENDER, str(path), str(STEPS), *scenes(), MFPOLICY_RENDER=backend)
        return path

    def seen(backend: str, task: str) -> dict[str, Any]:
        with np.load(folder(backend) / f"{task.replace('/', '-')}.npz") as arrays:
            found = dict(arrays)
        assert found["renderer"] == backend
        return found

    return seen


def chamfer_m(one: np.ndarray, other: np.ndarray) -> float:
    """Mean distance from a point to the nearest of the other cloud, the larger of both ways."""
    return max(KDTree(a).query(b)[0].mean() for a, b in ((one, other), (other, one)))


@pytest.mark.render
@pytest.mark.slow
@pytest.mark.parametrize("task", scenes())
def test_egl_and_osmesa_give_the_same_depth_bit_for_bit(rendered, task: str) -> None:
    if len(OPENGL) < 2:
        pytest.skip("only one OpenGL backend works here")
    egl, osmesa = (rendered(name, task) for name in ("egl", "osmesa"))
    np.testing.assert_array_equal(egl["depth"], osmesa["depth"])
    np.testing.assert_array_equal(egl["cloud"], osmesa["cloud"])


@pytest.mark.render
@pytest.mark.slow
@pytest.mark.parametrize("task", scenes())
def test_rays_differ_from_opengl_at_edges_only(rendered, task: str) -> None:
    drawn, cast = rendered(OPENGL[0], task), rendered("raycast", task)
    near = drawn["depth"] < NEAR_M
    off = np.abs(drawn["depth"] - cast["depth"])
    assert near.sum() > 300
    # OpenGL draws a sphere or capsule as a polyhedron of 28 slices, inside the true one by up to
    # r (1 - cos(pi / 28)): 0.3 mm at the forearm's 5 cm, which fills the view of adroit/relocate.
    assert np.median(off[near]) < 0.05 * (1 - np.cos(np.pi / 28))
    differs = near & (off > 5e-3)
    assert differs.sum() < 0.005 * near.sum()
    # A pixel differs if an edge passes through it: a neighbor shows what lies beyond the edge.
    padded = np.pad(drawn["depth"], 1, mode="edge")
    around = np.stack(
        [padded[r : r + IMAGE_PX, c : c + IMAGE_PX] for r in range(3) for c in range(3)]
    )
    at_edge = np.ptp(around, axis=0) > 5e-3
    assert (differs & ~at_edge).sum() == 0


@pytest.mark.render
@pytest.mark.slow
@pytest.mark.parametrize("task", scenes())
def test_clouds_of_rays_are_those_of_opengl(rendered, task: str) -> None:
    drawn, cast = rendered(OPENGL[0], task), rendered("raycast", task)
    points = np.unique(drawn["cloud"], axis=0)  # hand-insert's box holds fewer than a cloud has
    spacing = KDTree(points).query(points, k=2)[0][:, 1].mean()
    assert chamfer_m(drawn["cloud"], cast["cloud"]) < spacing
    assert cast["color"].shape == drawn["color"].shape
    assert len(np.unique(cast["color"], axis=0)) > 1


@pytest.mark.render
@pytest.mark.parametrize("backend", [*OPENGL, RAYCAST])
def test_many_environments_leave_no_context_and_no_wrong_depth(backend: str) -> None:
    done = run_python(LEAVE_NOTHING, MFPOLICY_RENDER=backend)
    found = json.loads(done.stdout)
    assert done.stderr == ""
    assert found["wrong"] == 0
    assert found["open"] == 0
    # Mesa gives memory back at its own times; a context that stays is 10 MiB a turn or more.
    assert max(found["mib"][8:]) - max(found["mib"][:8]) < 50, found["mib"]


def test_a_goal_that_is_a_site_is_in_the_cloud_of_rays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setenv(gl.RENDER_VARIABLE, RAYCAST)
    env = envs.make("metaworld/reach")
    env.reset(seed=SEED)
    goal = env._simulation.full_state()[-3:]
    distance = np.linalg.norm(env.observe()["point_cloud"] - goal, axis=1)
    radius = 0.02  # of Meta-World's marker
    assert (np.abs(distance - radius) < 1e-3).sum() > 3
    env.close()
