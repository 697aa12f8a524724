"""Pictures of the four tasks of Adroit: what people see, and the cloud that a policy sees.

    python -m benchmarks.adroit_pictures --out docs/adroit_clouds.png

Each is the first state of the episode of the seed given.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import envs

TASKS = ("door", "hammer", "pen", "relocate")
ELEVATION_DEG = {"relocate": 20}


def main() -> None:
    """Draws and writes the pictures."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=10_000)
    given = parser.parse_args()
    figure = pyplot.figure(figsize=(12, 6))
    for column, task in enumerate(TASKS):
        env = envs.make(f"adroit/{task}", render_mode="rgb_array")
        env.reset(seed=given.seed)
        seen = env.observe_full()
        points_world, colors = seen["point_cloud"], seen["color"]
        above = figure.add_subplot(2, 4, column + 1)
        above.imshow(env.render())
        above.set_axis_off()
        above.set_title(f"adroit/{task}")
        below = figure.add_subplot(2, 4, column + 5, projection="3d")
        below.scatter(*points_world.T, c=colors / 255, s=4)
        below.set_box_aspect(np.ptp(points_world, axis=0))
        below.view_init(ELEVATION_DEG.get(task, 30), -110)
        below.tick_params(labelsize=5, pad=-3)
        below.set_title(f"{len(points_world)} points, metres, world frame", fontsize=7)
        env.close()
    figure.tight_layout()
    figure.savefig(given.out, dpi=80)


if __name__ == "__main__":
    main()
