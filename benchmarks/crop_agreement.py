"""What Meta-World's crop box keeps beside DP3's, task by task, and on what the sampled points lie.

    python -m benchmarks.crop_agreement --out benchmarks/results/NAME

DP3 (Ze et al., 2024, ``metaworld_wrapper.py``) crops in the frame that its point-cloud generator
makes: rays through pixel corners instead of centers, the camera as origin, and a hand-tuned
rotation. ``DP3_BOX`` is the box of the world's axes that comes closest; the suite's own is the
inside of the table's walls. All are applied to the same depth images along expert episodes. What
each pixel is of, a second camera tells by rays, in whose model bodies are painted by what they are.
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
from envs.raycast import RayCamera
from envs.suites import load_suite
from mfpolicy.pointcloud import crop, depth_to_points, sample, to_world

DP3_MIN, DP3_MAX = (-0.5, -1.5, -0.795), (1.0, -0.4, 100.0)
DP3_BOX = (-0.75, 0.15, 0.005), (0.55, 1.15, 1.0)
"""As close to DP3's as a box of the world's axes comes; world frame, metres."""
POINTS = 256  # of the default preset
TABLE_TOP_M = 0.005  # what lies below is the table's surface
SCENERY, ROBOT, TASK = 0, 1, 2
ROOTS = {
    **{"": SCENERY, "world": SCENERY, "tablelink": SCENERY, "RetainingWall": SCENERY},
    **{"base": ROBOT, "mocap": ROBOT},
}
"""What a body is by the name of its root; all others are what the task is about."""


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


class Scene:
    """A task's simulation, seen by the suite's camera.

    Args:
        task: as ``metaworld/push``.
    """

    def __init__(self, task: str) -> None:
        self.recipe = load_suite("metaworld").recipes[task]
        self.simulation: Any = envs.open_simulation(task)
        model, size = self.simulation.model, self.recipe.image_size
        self.camera = OffscreenCamera(model, self.recipe.camera, width=size, height=size)
        self._painted = RayCamera(model, self.recipe.camera, width=size, height=size)
        model.cam_pos[self.camera.camera_id] = self.recipe.camera_position
        roots = [model.body(root).name for root in model.body_rootid]
        red = np.array([ROOTS.get(root, TASK) for root in roots]) / 255
        model.geom_matid[:] = model.site_matid[:] = -1
        model.geom_rgba[:, 0] = red[model.geom_bodyid]
        of_site = red[model.site_bodyid]
        model.site_rgba[:, 0] = np.where(of_site == ROBOT / 255, of_site, TASK / 255)

    def look(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        """Depth (H, W) in metres, points (H·W, 3) in the world, and what each is of (H·W,)."""
        data = self.simulation.data
        self.simulation.show_goal()
        depth = self.camera.depth(data)
        pose = self.camera.T_world_cam(data)
        points = to_world(depth_to_points(depth, self.camera.intrinsics()), pose)
        kinds = self._painted.color(data)[..., 0].reshape(-1).astype(np.int64)
        return depth, points, np.minimum(kinds, TASK)

    def close(self) -> None:
        """Frees what renders."""
        self._painted.close()
        self.camera.close()
        self.simulation.close()


def compare(task: str, seeds: int, steps: int, every: int) -> dict[str, Any]:
    """Counts of one task over its frames.

    Returns:
        ``agreement``, ``lost``, ``extra``, ``table``: of ``DP3_BOX`` beside DP3's crop, as the head
        of the result says. ``kept``: share of what is seen of the task's objects and goals, and
        kept by ``DP3_BOX``, that the suite's box keeps. ``dp3``, ``own``: mean number of the
        sampled points on scenery, robot and task, by box.
    """
    scene = Scene(task)
    counts, kept = np.zeros(4, dtype=np.int64), np.zeros(2, dtype=np.int64)
    on = {"dp3": np.zeros(3), "own": np.zeros(3)}
    frames = 0
    for seed in range(seeds):
        scene.simulation.reset(seed)
        for step in range(steps):
            if step % every == 0:
                depth, points, kinds = scene.look()
                theirs = dp3_mask(depth, scene.camera.intrinsics())
                wide = crop(points, *DP3_BOX)
                own = crop(points, scene.recipe.crop_min, scene.recipe.crop_max)
                counts += _agreement(points, theirs, wide)
                kept += [(own & wide & (kinds == TASK)).sum(), (wide & (kinds == TASK)).sum()]
                on["dp3"] += _sampled(points[wide], kinds[wide])
                on["own"] += _sampled(points[own], kinds[own])
                frames += 1
            scene.simulation.step(scene.simulation.expert_action())
    scene.close()
    both, dp3_alone, ours_alone, table = (int(count) for count in counts)
    return {
        "task": task,
        "agreement": both / (both + dp3_alone + ours_alone),
        "lost": dp3_alone / (both + dp3_alone),
        "extra": ours_alone / (both + dp3_alone),
        "table": table / (both + dp3_alone + table),
        "kept": kept[0] / max(kept[1], 1),
        **{box: tuple(sums / frames) for box, sums in on.items()},
    }


def _agreement(
    points: NDArray[np.float32], theirs: NDArray[np.bool_], ours: NDArray[np.bool_]
) -> NDArray[np.int64]:
    above = points[:, 2] > TABLE_TOP_M
    return np.array(
        [
            (ours & theirs & above).sum(),
            (~ours & theirs & above).sum(),
            (ours & ~theirs).sum(),
            (theirs & ~above).sum(),
        ]
    )


def _sampled(points: NDArray[np.float32], kinds: NDArray[np.int64]) -> NDArray[np.int64]:
    chosen = sample(np.column_stack([points, kinds]), POINTS)
    return np.bincount(chosen[:, 3].astype(np.int64), minlength=3)


def table(rows: list[dict[str, Any]], command: str) -> str:
    """The result as Markdown."""
    lines = [
        f"# Crop box of Meta-World beside DP3's, {time.strftime('%Y-%m-%d')}",
        "",
        f"- command: {command}",
        f"- DP3's: the box {DP3_BOX} in the world, which stands for DP3's own crop",
        "- agreement: points above the table kept by both that box and DP3's own crop, over those "
        "kept by either",
        "- lost, extra: kept by DP3's own crop alone, by that box alone, over DP3's points above "
        "the table; table: share of DP3's points that are the table's surface (z < 5 mm)",
        "- objects kept: share of what is seen of the task's objects and goals within that box "
        "that lies in the suite's box too",
        f"- the {POINTS} sampled points: on walls and table / robot / objects and goals, mean "
        "over frames",
        "",
        "| task | objects kept | with the suite's box | with DP3's | agreement | lost | extra "
        "| table |",
        "|---|---|---|---|---|---|---|---|",
    ]
    keys = ("agreement", "lost", "extra", "table")
    for name, over in (("median", np.median), ("mean", np.mean)):
        boxes = {box: tuple(over([row[box] for row in rows], axis=0)) for box in ("own", "dp3")}
        values = {key: float(over([row[key] for row in rows])) for key in ("kept", *keys)}
        lines.append(_line(f"**{name}**", {**values, **boxes}, keys))
    lines += [_line(row["task"], row, keys) for row in sorted(rows, key=lambda row: row["kept"])]
    return "\n".join(lines) + "\n"


def _line(name: str, row: dict[str, Any], keys: tuple[str, ...]) -> str:
    own, dp3 = (" / ".join(f"{count:.0f}" for count in row[box]) for box in ("own", "dp3"))
    shares = " | ".join(f"{row[key]:.1%}" for key in keys)
    return f"| {name} | {row['kept']:.1%} | {own} | {dp3} | {shares} |"


def main() -> None:
    """Compares every task and writes a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=list(load_suite("metaworld").tasks))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    given = parser.parse_args()
    rows = [compare(task, given.seeds, given.steps, given.every) for task in given.tasks]
    command = (
        f"python -m benchmarks.crop_agreement --seeds {given.seeds} --steps {given.steps} "
        f"--every {given.every}"
    )
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.with_suffix(".md").write_text(table(rows, command))


if __name__ == "__main__":
    main()
