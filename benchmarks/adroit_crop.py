"""How Adroit's crop boxes in the world frame agree with DP3's boxes in frames of their own.

DP3 (Ze et al., 2024) unprojects in the camera's axes and crops there: door and hammer with the
origin one metre below the camera along its axis, pen turned by 45° about x. Here both boxes are
applied to the points of the same depth images, at 84 pixels as DP3 has them, and the points left
at the task's own image size are counted.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import envs
from envs.camera import OffscreenCamera
from mfpolicy.pointcloud import crop, depth_to_points, to_world

DP3_PIXELS = 84
# Angle about x in degrees, shift along z in metres, lower end of the box along z in metres.
DP3_FRAMES = {"door": (0, 1.0, -0.499), "hammer": (0, 1.0, -0.099), "pen": (45, 0.0, -0.79)}


def dp3_mask(task: str, depth_m: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """(H·W,) bool: the pixels whose points DP3 keeps, on rays through the pixels' centers."""
    angle_deg, shift_m, floor_m = DP3_FRAMES[task]
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    rotation = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    points = depth_to_points(depth_m, intrinsics) * np.float32([1, -1, -1])
    points = points @ rotation.T.astype(np.float32) + np.float32([0, 0, shift_m])
    return crop(points, (-10, -10, floor_m), (10, 10, 10))


def count(task: str, seeds: int, steps: int, every: int) -> dict[str, Any]:
    """Points of each frame at DP3's size and at ours, and how often the two boxes disagree."""
    env = envs.make(f"adroit/{task}", points=8)
    simulation, recipe = env._simulation, env.recipe
    sizes = sorted({DP3_PIXELS, recipe.image_size})
    cameras = {
        size: OffscreenCamera(simulation.model, recipe.camera, width=size, height=size)
        for size in sizes
    }
    counts: dict[int, list[int]] = {size: [] for size in sizes}
    disagreements = pixels = 0
    for seed in range(seeds):
        env.reset(seed=seed)
        rng = np.random.default_rng(seed)
        for step in range(steps):
            if step % every == 0:
                for size, camera in cameras.items():
                    with env._cloud_camera.hidden():
                        depth_m = camera.depth(simulation.data)
                    intrinsics = camera.intrinsics()
                    pose = camera.T_world_cam(simulation.data)
                    points = to_world(depth_to_points(depth_m, intrinsics), pose)
                    ours = crop(points, recipe.crop_min, recipe.crop_max)
                    counts[size].append(int(ours.sum()))
                    if size == DP3_PIXELS and task in DP3_FRAMES:
                        disagreements += int((ours != dp3_mask(task, depth_m, intrinsics)).sum())
                        pixels += ours.size
            simulation.step(rng.uniform(-0.3, 0.3, simulation.model.nu).astype(np.float32))
    for camera in cameras.values():
        camera.close()
    env.close()
    return {
        "task": task,
        "frames": len(counts[DP3_PIXELS]),
        "at_84": counts[DP3_PIXELS],
        "size": recipe.image_size,
        "own": counts[recipe.image_size],
        "disagree": f"{disagreements} of {pixels}" if pixels else "DP3 has none",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--every", type=int, default=8)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    arguments = parser.parse_args()
    lines = [
        f"# Crop boxes of Adroit beside DP3's, {time.strftime('%Y-%m-%d')}",
        "",
        f"- command: python benchmarks/adroit_crop.py --seeds {arguments.seeds} "
        f"--steps {arguments.steps} --every {arguments.every}",
        "- small random actions; points that the crop leaves, least / median / most of a frame",
        "",
        "| task | frames | points at 84 px | own size | points at it | pixels only one keeps |",
        "|---|---|---|---|---|---|",
    ]
    for task in ("door", "hammer", "pen", "relocate"):
        row = count(task, arguments.seeds, arguments.steps, arguments.every)
        small, own = (
            f"{min(row[key])} / {np.median(row[key]):.0f} / {max(row[key])}"
            for key in ("at_84", "own")
        )
        lines.append(
            f"| {task} | {row['frames']} | {small} | {row['size']} px | {own} | {row['disagree']} |"
        )
    path = arguments.out.with_suffix(".md")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
