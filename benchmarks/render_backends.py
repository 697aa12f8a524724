"""What the three rendering backends cost, and where cast rays differ from OpenGL.

    python benchmarks/render_backends.py --out benchmarks/results/NAME

PyOpenGL binds one platform per process, so each backend renders in a process of its own: the same
states, reached by the same seeded random actions. A pixel differs if its depth does by more than
5 mm; counted are pixels nearer than 3 m.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

BACKENDS = ("egl", "osmesa", "raycast")
TASKS = (
    "metaworld/drawer-open", "metaworld/hammer", "metaworld/basketball",
    "adroit/door", "adroit/hammer", "adroit/pen", "adroit/relocate",
)  # fmt: skip
FRAMES, STEPS_BETWEEN, SIZE_PX = 20, 3, 128
NEAR_M, DIFFERS_M = 3.0, 5e-3


def render(backend: str, folder: Path) -> None:
    """Writes the depth images (FRAMES, H, W) and the median milliseconds of each task."""
    import envs

    found: dict[str, Any] = {}
    for task in TASKS:
        env = envs.make(task, image_size=SIZE_PX)
        assert env.renderer == backend
        env.reset(seed=0)
        env.action_space.seed(0)
        depths, milliseconds = [], []
        for _ in range(FRAMES):
            for _ in range(STEPS_BETWEEN):
                env.simulate(env.action_space.sample())
            env.observe()
            milliseconds.append(env.render_ms)
            with env._cloud_camera.hidden():
                depths.append(env._cloud_camera._cameras[0].depth(env._simulation.data))
        found[task] = np.stack(depths)
        found[f"{task} ms"] = np.median(milliseconds)
        env.close()
    np.savez(folder / f"{backend}.npz", **found)


def compare(folder: Path) -> list[dict[str, Any]]:
    """One row per task."""
    seen = {path.stem: np.load(path) for path in sorted(folder.glob("*.npz"))}
    rows = []
    for task in TASKS:
        drawn, cast = seen["egl"][task], seen["raycast"][task]
        near, off = drawn < NEAR_M, np.abs(drawn - cast)
        rows.append(
            {
                "task": task,
                **{f"{name}_ms": round(float(seen[name][f"{task} ms"]), 1) for name in seen},
                "osmesa_is_egl": bool(np.array_equal(drawn, seen["osmesa"][task])),
                "rays_differ_percent": round(100 * float((off[near] > DIFFERS_M).mean()), 3),
                "rays_median_off_m": float(np.median(off[near])),
            }
        )
    return rows


def main() -> None:
    """Renders with every backend and writes the comparison as JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    parser.add_argument("--render", nargs=2, metavar=("BACKEND", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.render:
        render(options.render[0], Path(options.render[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        for backend in BACKENDS:
            words = [__file__, "--out", str(options.out), "--render", backend, name]
            subprocess.run(
                [sys.executable, *words],
                env=os.environ | {"MFPOLICY_RENDER": backend},
                check=True,
            )
        rows = compare(Path(name))
    facts = {"machine": platform.machine(), "cores": os.cpu_count(), "size_px": SIZE_PX}
    options.out.with_suffix(".json").write_text(json.dumps({**facts, "rows": rows}, indent=1))
    lines = [
        "# Rendering backends",
        "",
        f"`python benchmarks/render_backends.py --out {options.out}`; {SIZE_PX} px, one thread, "
        f"{os.cpu_count()} cores, median of {FRAMES} frames. EGL and OSMesa are Mesa's llvmpipe.",
        "",
        "| task | EGL ms | OSMesa ms | rays ms | OSMesa = EGL | rays off by > 5 mm |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        same = "bit for bit" if row["osmesa_is_egl"] else "no"
        lines.append(
            f"| {row['task']} | {row['egl_ms']} | {row['osmesa_ms']} | {row['raycast_ms']} "
            f"| {same} | {row['rays_differ_percent']} % |"
        )
    options.out.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
