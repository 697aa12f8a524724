"""A picture of an episode that was driven over ROS 2, replayed from its actions.

    python -m benchmarks.ros.picture runs/ros_closed_loop/drawer-open --out docs/robot_loop.png

Above: moments of the episode. Below: how long after the newest frame each command came.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

import envs

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

MOMENTS = 6


def moments(task: str, episode: dict[str, Any]) -> list[tuple[int, np.ndarray]]:
    """Steps and pictures, up to a little after the first success."""
    env = envs.make(task, render_mode="rgb_array")
    env.reset(seed=episode["result"]["seed"])
    pictures, first = [env.render()], None
    for step, action in enumerate(episode["actions"], start=1):
        info = env.simulate(np.array(action, np.float32))[3]
        pictures.append(env.render())
        first = step if first is None and info["success"] else first
    env.close()
    last = min(len(pictures) - 1, (first or len(pictures)) + 10)
    return [(step, pictures[step]) for step in np.linspace(0, last, MOMENTS).round().astype(int)]


def draw(summary: dict[str, Any], episode: dict[str, Any], out: Path) -> None:
    """Writes the picture."""
    seen = moments(summary["task"], episode)
    figure = plt.figure(figsize=(9, 3.4))
    grid = figure.add_gridspec(2, MOMENTS, height_ratios=(1.5, 1))
    for place, (step, picture) in enumerate(seen):
        axes = figure.add_subplot(grid[0, place])
        axes.imshow(picture)
        axes.set_title(f"step {step}", fontsize=8)
        axes.axis("off")
    axes = figure.add_subplot(grid[1, :])
    ages = np.array(episode["ages_ms"])
    period = 1e3 / summary["rate_hz"] / summary["realtime_factor"]["wanted"]
    axes.bar(np.arange(len(ages)), ages, width=1.0, color="tab:blue")
    axes.axhline(period, color="tab:red", linewidth=0.8)
    axes.annotate("control step", (0, period), fontsize=7, color="tab:red", va="bottom")
    axes.set_xlim(-0.5, len(ages))
    axes.set_xlabel("command", fontsize=8)
    axes.set_ylabel("after the newest\nframe, ms", fontsize=8)
    axes.tick_params(labelsize=7)
    sides = [summary["ros"][side]["distribution"].capitalize() for side in ("bridge", "peer")]
    figure.suptitle(
        f"{summary['task']}, seed {episode['result']['seed']}: controller on ROS 2 {sides[0]}, "
        f"robot on {sides[1]}, {summary['realtime_factor']['wanted']:g} of real time",
        fontsize=9,
    )
    figure.tight_layout()
    figure.savefig(out, dpi=100)


def main() -> None:
    """Draws the first episode that succeeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loop", type=Path, help="folder of mfpolicy robot")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    summary = json.loads((given.loop / "summary.json").read_text())
    lines = (given.loop / "episodes.jsonl").read_text().splitlines()
    episodes = [json.loads(line) for line in lines]
    good = [each for each in episodes if each["result"]["success_any"]]
    draw(summary, (good or episodes)[0], given.out)


if __name__ == "__main__":
    main()
