"""How far the world-frame crop box of Meta-World agrees with DP3's crop, task by task.

    python benchmarks/crop_agreement.py --out benchmarks/results/NAME

DP3 (Ze et al., 2024, ``metaworld_wrapper.py``) crops in the frame that its point-cloud generator
makes: rays through pixel corners instead of centers, the camera as origin, and a hand-tuned
rotation. Both crops are applied to the same depth images along expert episodes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import envs
from envs.camera import OffscreenCamera
from envs.suites import load_suite
from mfpolicy.pointcloud import crop, depth_to_points, to_world

DP3_MIN, DP3_MAX = (-0.5, -1.5, -0.795), (1.0, -0.4, 100.0)
TABLE_TOP_M = 0.005  # what lies below is the table's surface


def dp3_rotation() -> NDArray[np.float64]:
    """DP3's hand-tuned rotation, applied to points in MuJoCo's camera frame (y up, z back)."""
    x, y = np.deg2rad(61.4), np.deg2rad(-7.0)
    about_x = [[1, 0, 0], [0, np.cos(x), np.sin(x)], [0, -np.sin(x), np.cos(x)]]
    about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    return np.array(about_x) @ np.array(about_y)


def dp3_mask(depth_m: NDArray[np.float32], intrinsics: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(H·W,) the pixels whose points DP3 keeps."""
    corner = intrinsics.copy()
    corner[:2, 2] += 0.5  # turns rays through centers into rays through the upper left corners
    optical = depth_to_points(depth_m, corner)
    return crop(optical * np.float32([1, -1, -1]) @ dp3_rotation().T, DP3_MIN, DP3_MAX)


def compare(task: str, seeds: int, steps: int, every: int) -> dict[str, Any]:
    """Counts of one task over its frames: kept by both, by DP3 alone, by us alone, above the table.

    ``table`` counts what DP3 alone keeps of the table's surface.
    """
    recipe = load_suite("metaworld").recipes[task]
    simulation = envs.open_simulation(task)
    camera = OffscreenCamera(
        simulation.model, recipe.camera, width=recipe.image_size, height=recipe.image_size
    )
    simulation.model.cam_pos[camera.camera_id] = recipe.camera_position
    counts = np.zeros(4, dtype=np.int64)
    for seed in range(seeds):
        simulation.reset(seed)
        for step in range(steps):
            if step % every == 0:
                counts += _frame(simulation, camera, recipe)
            simulation.step(simulation.expert_action())
    camera.close()
    simulation.close()
    both, dp3_alone, ours_alone, table = (int(count) for count in counts)
    return {
        "task": task,
        "agreement": both / (both + dp3_alone + ours_alone),
        "lost": dp3_alone / (both + dp3_alone),
        "extra": ours_alone / (both + dp3_alone),
        "table": table / (both + dp3_alone + table),
    }


def _frame(simulation: Any, camera: OffscreenCamera, recipe: Any) -> NDArray[np.int64]:
    simulation.show_goal()
    depth = camera.depth(simulation.data)
    points = to_world(
        depth_to_points(depth, camera.intrinsics()), camera.T_world_cam(simulation.data)
    )
    ours, theirs = (
        crop(points, recipe.crop_min, recipe.crop_max),
        dp3_mask(depth, camera.intrinsics()),
    )
    above = points[:, 2] > TABLE_TOP_M
    return np.array(
        [
            (ours & theirs & above).sum(),
            (~ours & theirs & above).sum(),
            (ours & ~theirs).sum(),
            (theirs & ~above).sum(),
        ]
    )


def main() -> None:
    """Compares every task and writes a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    arguments = parser.parse_args()
    tasks = load_suite("metaworld").tasks
    rows = [compare(task, arguments.seeds, arguments.steps, arguments.every) for task in tasks]
    values = {key: np.array([row[key] for row in rows]) for key in rows[0] if key != "task"}
    lines = [
        f"# Crop box of Meta-World beside DP3's, {time.strftime('%Y-%m-%d')}",
        "",
        f"- command: python benchmarks/crop_agreement.py --seeds {arguments.seeds} "
        f"--steps {arguments.steps} --every {arguments.every}",
        "- agreement: points above the table kept by both, over those kept by either",
        "- lost, extra: kept by DP3 alone, by us alone, over DP3's points above the table",
        "- table: share of DP3's points that are the table's surface (z < 5 mm), which we drop",
        "",
        "| task | agreement | lost | extra | table |",
        "|---|---|---|---|---|",
    ]
    for name, pick in (("median", np.median), ("mean", np.mean)):
        lines.append(
            f"| **{name}** | " + " | ".join(f"{pick(v):.1%}" for v in values.values()) + " |"
        )
    for row in sorted(rows, key=lambda each: each["agreement"]):
        lines.append(f"| {row['task']} | " + " | ".join(f"{row[key]:.1%}" for key in values) + " |")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
