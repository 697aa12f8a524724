"""Builds the expert of an Adroit task from nothing; a stopped build goes on where it was.

python scripts/build_adroit_expert.py door --folder builds/door
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from envs.experts.training.build import build
from envs.experts.training.recipes import RECIPES


def main() -> None:
    """Reads the arguments and builds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("task", choices=RECIPES)
    parser.add_argument("--folder", type=Path, required=True, help="of intermediate results")
    parser.add_argument("--cpu-hours", type=float, default=2.0, help="for the build in all")
    chosen = parser.parse_args()
    path = build(
        chosen.task,
        RECIPES[chosen.task],
        chosen.folder,
        cpu_hours=chosen.cpu_hours,
        report=partial(print, flush=True),
    )
    print(path)


if __name__ == "__main__":
    main()
