"""Renders the depth of a ball of known distance; run as a process of its own per backend."""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled names have no stubs)
from __future__ import annotations

import json
import time

import numpy as np

from mfpolicy.types import RAYCAST

SCENE = """
<mujoco>
  <asset><mesh name="stone" vertex="{vertices}"/></asset>
  <worldbody>
    <camera name="front" pos="0 -1 0" xyaxes="1 0 0 0 0 1"/>
    <geom type="sphere" size="0.1"/>
    <geom type="plane" size="0 0 1" pos="0 0 -0.2"/>
    {stones}
  </worldbody>
</mujoco>
"""
VERTICES, STONES = 400, 30  # rays take about as long as in a scene of Meta-World
DISTANCE_M = 0.9
SIZE_PX = 128
FRAMES = 20


def main() -> None:
    """Prints one JSON line: depth found and due at the center (metres), ms a frame, what renders.

    The backend is the one that the environment variable ``MFPOLICY_RENDER`` names.
    """
    import mujoco

    from envs.camera import OffscreenCamera
    from envs.gl import select_backend
    from envs.raycast import RayCamera

    model = mujoco.MjModel.from_xml_string(_scene())
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    backend = select_backend()
    camera_class = RayCamera if backend == RAYCAST else OffscreenCamera
    camera = camera_class(model, "front", width=SIZE_PX, height=SIZE_PX)
    depth = camera.depth(data)
    start = time.perf_counter()
    for _ in range(FRAMES):
        camera.depth(data)
    frame_ms = 1e3 * (time.perf_counter() - start) / FRAMES
    found = {
        "depth_m": float(depth[SIZE_PX // 2, SIZE_PX // 2]),
        "distance_m": DISTANCE_M,
        "frame_ms": frame_ms,
        "device": "no OpenGL" if backend == RAYCAST else _opengl_renderer(),
    }
    camera.close()
    print(json.dumps(found))


def _scene() -> str:
    """The ball, a floor, and behind it a wall of stones that rays and OpenGL have to work for."""
    index = np.arange(VERTICES)
    height = 1 - 2 * (index + 0.5) / VERTICES
    angle, radius = index * np.pi * (3 - np.sqrt(5)), np.sqrt(1 - height**2)
    points = 0.1 * np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)
    places = [(0.15 * (i % 6) - 0.375, 0.4, 0.15 * (i // 6) - 0.3) for i in range(STONES)]
    stones = [f'<geom type="mesh" mesh="stone" pos="{x} {y} {z}"/>' for x, y, z in places]
    vertices = " ".join(f"{value:.5f}" for value in points.ravel())
    return SCENE.format(vertices=vertices, stones="".join(stones))


def _opengl_renderer() -> str:
    from OpenGL import GL

    return (GL.glGetString(GL.GL_RENDERER) or b"an unnamed device").decode()


if __name__ == "__main__":
    main()
