"""Renders the depth of a ball of known distance; run as a process of its own per GL backend."""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled names have no stubs)
from __future__ import annotations

import json
import time

SCENE = """
<mujoco>
  <worldbody>
    <camera name="front" pos="0 -1 0" xyaxes="1 0 0 0 0 1"/>
    <geom type="sphere" size="0.1"/>
  </worldbody>
</mujoco>
"""
DISTANCE_M = 0.9
FRAMES = 10


def main() -> None:
    """Prints one JSON line: depth found and due at the center (metres), ms a frame, GL renderer."""
    import mujoco
    from OpenGL import GL

    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with mujoco.Renderer(model, height=65, width=65) as renderer:
        renderer.enable_depth_rendering()
        renderer.update_scene(data, camera="front")
        depth = renderer.render()
        start = time.perf_counter()
        for _ in range(FRAMES):
            renderer.render()
        frame_ms = 1e3 * (time.perf_counter() - start) / FRAMES
        device = GL.glGetString(GL.GL_RENDERER)
    found = {
        "depth_m": float(depth[32, 32]),
        "distance_m": DISTANCE_M,
        "frame_ms": frame_ms,
        "device": (device or b"an unnamed device").decode(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
