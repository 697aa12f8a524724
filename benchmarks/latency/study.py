"""The latency study of the README: ``mfpolicy bench latency`` five times, in short turns.

Needs an idle machine and a checkout of LogSSim/MP1 (with einops and termcolor installed):

    python -m benchmarks.latency.study --reference MP1 --out benchmarks/results/2026-11-24-latency
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

PARTS = {
    "paper-size": (
        *("policy=mp1", "backend=packed,eager", "precision=float32,bfloat16,int8", "threads=2"),
        *("decisions=500", "reference={reference}"),
    ),
    "small": (
        *("policy=mp1_small", "backend=packed,eager", "precision=float32,bfloat16,int8"),
        *("threads=1,2", "decisions=2000"),
    ),
    "methods": (
        *("policy=mp1,dp3,flowpolicy,mp1/flow_matching,mp1/regression", "backend=packed,eager"),
        *("precision=float32", "threads=2", "decisions=100"),
    ),
    "batches": (
        *("policy=mp1_small", "backend=packed,eager", "batch=1,4,16,64", "threads=2"),
        *("decisions=100", "cold=false"),
    ),
    "busy": (
        *("policy=mp1_small,mp1", "backend=packed,eager", "precision=float32,bfloat16"),
        *("threads=1,2", "decisions=200", "busy=2", "cold=false"),
    ),
}
"""Options of each measurement; it is written to NAME-PART."""


def main() -> None:
    """Runs the parts that are asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    for part in given.parts:
        options = [word.format(reference=given.reference) for word in PARTS[part]]
        out = given.out.with_name(f"{given.out.name}-{part}")
        words = [sys.executable, "-m", "mfpolicy", "bench", "latency", *options, f"out={out}"]
        subprocess.run(words, check=True)


if __name__ == "__main__":
    main()
