"""What ``mfpolicy data check`` finds: sound datasets, damaged ones, time and memory.

    python -m benchmarks.data.check --folder FOLDER --out benchmarks/results/NAME

collects demonstrations of Meta-World and Adroit into FOLDER (what is there already is taken), and
writes NAME.json and NAME.md: for variants of each dataset, what is said though nothing is wrong;
for every kind of damage, done to the first dataset, what is found, and whether a repair leaves a
sound dataset; and for two sizes of one dataset the peak memory of a check in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data.damages import DAMAGES, Damage
from benchmarks.data.smooth import RECIPE, smooth_episode
from benchmarks.data.variants import VARIANTS, make_variant
from benchmarks.provenance import commit
from mfpolicy.cli import main as mfpolicy
from mfpolicy.data.checking import CODES, CheckReport, check_dataset, repair
from mfpolicy.data.reader import open_even_if_empty
from mfpolicy.data.store import DatasetSpec, DatasetWriter, Episode, open_dataset
from mfpolicy.errors import DataError
from mfpolicy.evaluation.machine import machine_facts, package_versions

TASKS = [
    "metaworld/drawer-open", "metaworld/button-press", "metaworld/door-open", "metaworld/reach",
    "metaworld/plate-slide", "metaworld/dial-turn", "metaworld/window-open",
    "metaworld/coffee-button", "metaworld/handle-pull-side", "metaworld/lever-pull",
    "metaworld/hammer", "metaworld/soccer", "metaworld/assembly", "metaworld/push",
    "metaworld/pick-place", "metaworld/sweep-into", "metaworld/basketball", "metaworld/faucet-open",
    "metaworld/door-lock", "metaworld/peg-insert-side", "adroit/door",
]  # fmt: skip
CLOUD = 2048
SIZES = (64, 256)


def collected(folder: Path, task: str, index: int) -> Path:
    """The dataset of ``task``, collected if need be; the first has three episodes, others two."""
    path = folder / f"{task.replace('/', '-')}.zarr"
    episodes, points = (3, 512) if index == 0 else (2, 256)
    if path.exists() and open_even_if_empty(path).episode_count == episodes:
        return path
    words = [f"task={task}", f"episodes={episodes}", f"seed={100 * index}", f"points={points}"]
    if mfpolicy(["collect", *words, f"out={path}"]) != 0:
        raise SystemExit(f"{task} could not be collected")
    return path


def told(report: CheckReport) -> list[str]:
    """Codes of the errors and warnings of a report."""
    return sorted({finding.code for finding in report.findings if finding.severity != "note"})


def sound_variants(paths: list[Path], work: Path) -> list[dict[str, Any]]:
    """Each dataset as it is and in two variants, with what is said of it."""
    records, names = [], list(VARIANTS)
    for index, path in enumerate(paths):
        for name in ("as collected", names[index % 3], names[(index + 1) % 3]):
            target = path
            if name != "as collected":
                target = work / "variant.zarr"
                shutil.rmtree(target, ignore_errors=True)
                make_variant(path, name, target)
            report = check_dataset(target)
            records.append({
                "dataset": path.stem, "variant": name, "episodes": report.episodes,
                "steps": report.steps, "points": open_dataset(target).spec.points,
                "errors": report.errors, "warnings": report.warnings, "notes": report.notes,
                "told": told(report), "seconds": round(report.seconds, 2),
            })  # fmt: skip
    return records


def damaged(path: Path, damage: Damage, work: Path) -> dict[str, Any]:
    """One kind of damage to a copy: what is found, and what a repair comes to."""
    shutil.rmtree(work, ignore_errors=True)
    target = work / "damaged.zarr"
    shutil.copytree(path, target)
    damage.do(target)
    report = check_dataset(target)
    places = [
        {
            "array": f.array, "episode": f.episode, "step": f.step,
            "received": str(f.received).replace(str(target), "DATASET"),
        }
        for f in report.findings
        if f.code == damage.code
    ]  # fmt: skip
    at_place = any(
        damage.array in (None, place["array"])
        and damage.episode in (None, place["episode"])
        and damage.step in (None, place["step"])
        for place in places
    )
    try:
        open_dataset(target)
        read = True
    except DataError:
        read = False
    return {
        "damage": damage.name, "code": damage.code, "severity": CODES[damage.code].severity,
        "told": told(report), "found": damage.code in told(report), "at_place": at_place,
        "misreported": [code for code in told(report) if code != damage.code],
        "reader_opens_it": read, "first": places[0] if places else None,
        "repair": mended(report, work / "mended.zarr"),
    }  # fmt: skip


def mended(report: CheckReport, out: Path) -> str:
    """What a repair comes to, in words."""
    if report.sound:
        return "nothing to repair"
    try:
        done = repair(report, out)
    except DataError as error:
        return f"refused: {error.rule}"
    after = check_dataset(out)
    return f"{done.episodes} episodes, " + ("sound" if after.sound else f"still {told(after)}")


def large_dataset(path: Path, episodes: int) -> None:
    """A dataset of ``episodes`` times 100 clouds of 2048 points."""
    low, high = np.array(RECIPE.crop_min), np.array(RECIPE.crop_max)
    spec = DatasetSpec("toy/large", 20.0, "scripted", None, None, 4, 3, CLOUD)
    with DatasetWriter.open(path, spec) as writer:
        for index in range(episodes):
            small, rng = smooth_episode(index, 100), np.random.default_rng(index)
            cloud = rng.uniform(low, high, (100, CLOUD, 3)).astype(np.float32)
            writer.append(Episode(cloud, small.agent_pos, small.action, index, True))


def memory(work: Path) -> list[dict[str, Any]]:
    """Peak memory and time of a check of two sizes, each in a process of its own."""
    records = []
    for episodes in SIZES:
        path = work / f"large-{episodes}.zarr"
        large_dataset(path, episodes)
        words = [sys.executable, "-m", "benchmarks.data.check", "--measure", str(path)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        records.append(json.loads(done.stdout))
        shutil.rmtree(path)
    return records


def measure(path: Path) -> None:
    """Checks one dataset and prints time and memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = check_dataset(path)
    raw = report.steps * (CLOUD * 12 + 7 * 4)
    print(json.dumps({
        "raw_megabytes": round(raw / 1e6), "seconds": round(report.seconds, 1),
        "cpu_seconds": round(time.process_time(), 1),
        "megabytes_before": round(before / 1e3),
        "megabytes_peak": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
        "told": told(report),
    }))  # fmt: skip


def table(record: dict[str, Any]) -> str:
    """The record as Markdown."""
    header, sound, damages = record["header"], record["sound"], record["damages"]
    wrong = [one for one in sound if one["told"]]
    found = [one for one in damages if one["found"] and one["at_place"]]
    clean = [one for one in damages if not one["misreported"]]
    lines = [f"# Check of datasets, {header['date']}", ""]
    lines += [f"- {key}: {value}" for key, value in header.items() if key != "date"]
    lines += [
        "",
        f"**{len(sound)} sound datasets: {len(sound) - len(wrong)} without an error or a warning. "
        f"{len(damages)} kinds of damage ({len({d['code'] for d in damages})} codes): "
        f"{len(found)} found at their place, {len(clean)} with nothing else said.**",
        "",
        "Each kind of damage is done to a fresh copy of the first dataset. Found means under the "
        "expected code, in the array, episode and step that were damaged, where these are known.",
        "",
        "| damage | code | severity | found | else said | reader opens it | repair |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {d['damage']} | `{d['code']}` | {d['severity']} | "
        f"{'yes' if d['found'] and d['at_place'] else 'NO'} | "
        f"{', '.join(d['misreported']) or '-'} | {'yes' if d['reader_opens_it'] else 'no'} | "
        f"{d['repair']} |"
        for d in damages
    ]
    lines += [
        "", "## Sound datasets", "",
        "| dataset | variant | episodes | steps | points | errors | warnings | notes | s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {s['dataset']} | {s['variant']} | {s['episodes']} | {s['steps']} | {s['points']} | "
        f"{s['errors']} | {s['warnings']} | {s['notes']} | {s['seconds']} |"
        for s in sound
    ]
    lines += [
        "", "## Memory", "",
        "| raw MB | CPU s (process) | MB before | MB at the peak |", "|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {m['raw_megabytes']} | {m['cpu_seconds']} | {m['megabytes_before']} | "
        f"{m['megabytes_peak']} |"
        for m in record["memory"]
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Collects, damages, checks, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", type=Path)
    chosen = parser.parse_args()
    if chosen.measure is not None:
        measure(chosen.measure)
        return
    if chosen.folder is None or chosen.out is None:
        parser.error("--folder and --out are needed")
    paths = [collected(chosen.folder, task, index) for index, task in enumerate(TASKS)]
    work = chosen.folder / "work"
    work.mkdir(exist_ok=True)
    record = {
        "header": {
            "date": time.strftime("%Y-%m-%d"),
            "command": f"python -m benchmarks.data.check --folder FOLDER --out {chosen.out}",
            "commit": commit(),
            "machine": f"{machine_facts('cpu')['cpu']}, one thread, shared with other work",
            "versions": ", ".join(f"{k} {v}" for k, v in package_versions().items()),
        },
        "sound": sound_variants(paths, work),
        "damages": [damaged(paths[0], damage, work / "damaged") for damage in DAMAGES],
        "memory": memory(work),
    }
    shutil.rmtree(work)
    chosen.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    chosen.out.with_suffix(".md").write_text(table(record))


if __name__ == "__main__":
    main()
