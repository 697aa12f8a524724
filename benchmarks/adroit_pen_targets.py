"""Success in turning the pen by how far the target is from the nearest one that was demonstrated.

Reads evaluations of run folders, and resets the simulation for the targets; nothing is trained:

    python -m benchmarks.adroit_pen_targets runs/adroit/10/runs/mp1_mixer-pen-0 \\
        runs/adroit/50/runs/mp1_mixer-pen-0 --out benchmarks/results/2026-11-27-adroit-pen-targets
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

import envs
from benchmarks.provenance import provenance

DESIRED = slice(36, 39)
"""The direction that the pen is to have, in gymnasium-robotics' observation."""
PARTS = 3


def targets(seeds: list[int]) -> NDArray[np.float64]:
    """(N, 3), the wanted direction of the pen of each seed, of length 1."""
    env = envs.make("adroit/pen", points=1)
    try:
        found = []
        for seed in seeds:
            env.simulation.reset(seed)
            found.append(env.simulation.full_state()[DESIRED])
    finally:
        env.close()
    directions = np.array(found)
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def rows(run: Path, name: str) -> tuple[int, list[tuple[float, float, int, int]]]:
    """Number of demonstrations; least and largest angle in degrees, successes, episodes by part."""
    lines = (run / "eval" / name / "episodes.jsonl").read_text().splitlines()
    episodes = sorted((json.loads(line) for line in lines), key=lambda one: one["seed"])
    shown = yaml.safe_load((run / "data.yaml").read_text())["seeds"]
    at, demonstrated = targets([one["seed"] for one in episodes]), targets(shown)
    angles_deg = np.degrees(np.arccos(np.clip((at @ demonstrated.T).max(axis=1), -1, 1)))
    success = np.array([one["success_end"] for one in episodes])
    parts = np.array_split(np.argsort(angles_deg), PARTS)
    return len(shown), [
        (float(angles_deg[p].min()), float(angles_deg[p].max()), int(success[p].sum()), len(p))
        for p in parts
    ]


def main() -> None:
    """Writes the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--name", default="adroit", help="of the evaluation in the run folder")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    about = provenance()
    words = ", ".join(f"{key} {value}" for key, value in about["machine"].items())
    table = [
        "Success on adroit/pen at the end, by the angle of the target to the nearest one that "
        f"was demonstrated, in {PARTS} parts of as many episodes. {words}, commit "
        f"{about['commit']}.",
        "",
        "| policy | demonstrations | angle, degrees | success |",
        "|---|---|---|---|",
    ]
    for run in given.runs:
        count, parts = rows(run, given.name)
        table += [
            f"| {run.name} | {count} | {low:.0f} to {high:.0f} | {good}/{all_} |"
            for low, high, good, all_ in parts
        ]
    given.out.with_suffix(".md").write_text("\n".join(table) + "\n")


if __name__ == "__main__":
    main()
