"""Builds the expert of an Adroit task from nothing; a stopped build goes on where it was.

python scripts/build_adroit_expert.py door --folder builds/door
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from envs.experts.training.build import build
from envs.experts.training.imitating import build_by_search
from envs.experts.training.recipes import RECIPES, SearchRecipe


def main() -> None:
    """Reads the arguments and builds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("task", choices=RECIPES)
    parser.add_argument("--folder", type=Path, required=True, help="of intermediate results")
    parser.add_argument("--cpu-hours", type=float, default=2.0, help="for the build in all")
    chosen = parser.parse_args()
    task, folder, recipe = chosen.task, chosen.folder, RECIPES[chosen.task]
    report = partial(print, flush=True)
    if isinstance(recipe, SearchRecipe):
        path = build_by_search(task, recipe, folder, cpu_hours=chosen.cpu_hours, report=report)
    else:
        path = build(task, recipe, folder, cpu_hours=chosen.cpu_hours, report=report)
    print(path)


if __name__ == "__main__":
    main()
