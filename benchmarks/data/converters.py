"""Time and peak memory of every converter, on sources of about a given size.

    python -m benchmarks.data.converters --out benchmarks/results/NAME --megabytes 1000

Each runs as the command ``mfpolicy data convert`` in a process of its own, one at a time. Sources
are written by the formats' own libraries. ``--minari PYTHON`` writes Minari's source by minari
itself, in an environment that has it. Peak memory is the kernel's (``ru_maxrss``), the interpreter
and its libraries among it: the row ``nothing`` says how much that is.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.data import sources
from mfpolicy.evaluation.machine import machine_facts

REPLAYED = 3
"""Episodes of sources that are replayed in simulation: that takes the time, not their size."""
TRIED = {
    "dapg": "25 human recordings of door of DAPG's repository (docs/data.md, 2026-11-27)",
    "lerobot": "a dataset that lerobot 0.6.1 recorded, with videos of color and depth; what is "
    "written was read by it (2026-11-27-lerobot-roundtrip.md)",
    "minari": "a dataset that minari 0.5 wrote of recordings of the door's expert; none of D4RL's",
    "dp3": "none at hand: written by zarr in the layout and the frame of DP3's generators",
    "robomimic": "none at hand: written by h5py in the layout of robomimic's scripts",
    "folder": "files of open3d and numpy",
    "ros": "bags of ROS 1, sqlite3 and MCAP that rosbags wrote; none of a robot",
}
"""The most real file that each format was tried on."""
LINE = "| {name} | {source} | {mb:.0f} | {steps} | {cpu_s:.0f} | {seconds:.0f} | {peak_mib} |"

_LAUNCH = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print("usage", used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(code)
"""
"""Starts the command from a small process: the kernel counts in its peak what started it."""


def measure(name: str, source: Path, out: Path, written_by: str, *words: str) -> dict[str, Any]:
    """Converts ``source`` and says what it took."""
    command = [sys.executable, "-m", "mfpolicy", "data", "convert", str(source), f"out={out}"]
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _LAUNCH, *command, *words], capture_output=True, text=True
    )
    seconds = time.monotonic() - started
    if done.returncode:
        raise RuntimeError(f"{name} failed: {done.stdout}{done.stderr}")
    said, _, usage = done.stdout.rpartition("usage ")
    cpu_s, peak = map(float, usage.split())
    steps = next((int(line.split(" steps")[0].split()[-1]) for line in said.splitlines()
                  if " steps" in line), 0)  # fmt: skip
    return {
        "name": name, "source": written_by, "mb": _bytes(source) / 1e6, "steps": steps,
        "seconds": seconds, "cpu_s": cpu_s,
        "peak": peak / 1024,
    }  # fmt: skip


def cases(folder: Path, size: int, minari: str | None) -> dict[str, Callable[[], dict[str, Any]]]:
    """What is measured, by name; the exports read what the first has made."""
    ours, lerobot = folder / "ours.zarr", folder / "lerobot"
    layouts = {name: f"layout={folder / name}.yaml" for name in
               ("robomimic", "ros1", "sqlite3", "mcap")}  # fmt: skip

    def bags(kind: str) -> dict[str, Any]:
        source = sources.write_bags(folder / kind, size, kind)
        return measure(f"ros {kind} → ours", source, folder / "o.zarr", "rosbags",
                       layouts[kind], "store_extras=false")  # fmt: skip

    return {
        "dp3": lambda: measure(
            "dp3 → ours", sources.write_dp3(folder / "adroit_door_expert.zarr", size), ours,
            "zarr, in DP3's layout"),
        "to_dp3": lambda: measure("ours → dp3", ours, folder / "dp3.zarr", "ours", "to=dp3"),
        "to_lerobot": lambda: measure("ours → lerobot", ours, lerobot, "ours", "to=lerobot"),
        "lerobot": lambda: measure(
            "lerobot → ours", lerobot, folder / "o.zarr", "the row above"),
        "robomimic": lambda: measure(
            "robomimic → ours", sources.write_robomimic(folder / "robomimic.hdf5", size),
            folder / "o.zarr", "h5py, in robomimic's layout", layouts["robomimic"]),
        "folder": lambda: measure(
            "folder → ours", sources.write_ply(folder / "ply", size), folder / "o.zarr", "open3d"),
        "ros1": lambda: bags("ros1"),
        "sqlite3": lambda: bags("sqlite3"),
        "mcap": lambda: bags("mcap"),
        "minari": lambda: measure(
            "minari → ours", sources.write_minari(folder / "minari", REPLAYED, minari),
            folder / "o.zarr", "minari" if minari else "h5py, in Minari's layout",
            "task=adroit/door", "keep=all"),
        "dapg": lambda: measure(
            "dapg → ours", sources.write_dapg(folder / "door-v0_demos.pickle", REPLAYED),
            folder / "o.zarr", "pickle, in DAPG's layout", "keep=all"),
    }  # fmt: skip


def nothing(folder: Path) -> dict[str, Any]:
    """The command without work: a conversion of two episodes of two steps."""
    (folder / "tiny").mkdir()
    source = sources.write_dp3(folder / "tiny" / "none.zarr", 0)
    return measure("nothing (2 episodes)", source, folder / "tiny" / "o.zarr", "zarr")


def line(row: dict[str, Any]) -> str:
    """A row of the table; a peak that is only known to be no more is marked so."""
    peak = f"{'≤ ' if row.get('peak_is_bound') else ''}{row['peak']:.0f}"
    return LINE.format(peak_mib=peak, **row)


def report(rows: list[dict[str, Any]], megabytes: int, out: Path) -> None:
    """Writes what there is so far, as JSON and as a table."""
    facts = machine_facts("cpu")
    file = out.with_suffix(".json")
    if file.is_file():  # rows of earlier calls stay, unless they were measured again
        measured = {row["name"] for row in rows}
        earlier = json.loads(file.read_text())["rows"]
        rows = [row for row in earlier if row["name"] not in measured] + rows
    result = {"machine": facts, "rows": rows}
    file.write_text(json.dumps(result, indent=2) + "\n")
    lines = [
        "# Converters: time and peak memory", "",
        "| converter | source written by | source MB | steps | CPU s | s | peak MiB |",
        "|---|---|---|---|---|---|---|", *map(line, rows), "",
        f"{facts['cpu']}; one conversion at a time, with other work on the machine: CPU s, of all "
        "threads and of starting Python, is what counts, s what a clock said meanwhile. Sources "
        f"that are replayed in simulation have {REPLAYED} episodes of 200 recorded steps. Rows of "
        "several calls are kept together; each has the size of its source. ≤ marks peaks of an "
        "earlier way to measure, which counted the measuring process: they are no more.", "",
        "Tried on, beside these:", "", *(f"- {name}: {what}" for name, what in TRIED.items()), "",
        f"`python -m benchmarks.data.converters --out NAME --megabytes {megabytes}`",
    ]  # fmt: skip
    out.with_suffix(".md").write_text("\n".join(lines) + "\n")


def _bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="path of the result, no ending")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--minari", help="Python of an environment that has minari")
    parser.add_argument("--only", help="names of those to measure, with commas")
    parser.add_argument("--folder", help="where to put the sources")
    parser.add_argument("--table", action="store_true", help="only write the table again")
    given = parser.parse_args()
    if given.table:
        return report([], given.megabytes, given.out)
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        folder, rows = Path(temporary), []
        rows.append(nothing(folder))
        todo = cases(folder, given.megabytes * 10**6, given.minari)
        for name in given.only.split(",") if given.only else todo:
            rows.append(todo[name]())
            report(rows, given.megabytes, given.out)
            print(line(rows[-1]), flush=True)
            shutil.rmtree(folder / "o.zarr", ignore_errors=True)
            if name in ("ros1", "sqlite3", "mcap", "folder"):
                shutil.rmtree(folder / ("ply" if name == "folder" else name), ignore_errors=True)


if __name__ == "__main__":
    main()
