"""Memory of the bridge and of the recorder while a robot is driven and recorded for minutes.

    MFPOLICY_ROS=.ros python -m benchmarks.ros.soak --minutes 10 --out benchmarks/results/NAME

The bridge moves a simulated robot without a break; the recorder records what it commands as
demonstrations, one episode after the other, into one dataset. The resident memory of both is read
every few seconds. Exits with 1 where one of them grows, or the recorded dataset has errors.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.ros.trials import LIMITS, RATE_HZ, TASK, Loop
from mfpolicy.data.checking.check import check_dataset
from mfpolicy.evaluation.machine import machine_facts, package_versions
from real_robot.simulated import LoopPlace, bridge_parameters, ros_python

EVERY_S, EPISODE_S = 5.0, 15.0
CALLER = Path(__file__).with_name("record_episodes.py")
WARM = 0.3
"""Share of the time after which memory must no longer grow."""
MOST_MIB_PER_HOUR = 12.0


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def slope(times_s: list[float], mib: list[float]) -> float:
    """MiB an hour, of a straight line through what comes after warming up."""
    times, values = np.array(times_s), np.array(mib)
    kept = times >= WARM * times[-1]
    return float(np.polyfit(times[kept] / 3600, values[kept], 1)[0])


def recorder(place: LoopPlace, python: Path, loop: Loop, out: Path) -> subprocess.Popen[str]:
    """The recorder's process, told of the robot what the bridge is told."""
    world = loop.robot.world
    told = {**bridge_parameters(world, camera="depth", server="ws://unused"), **LIMITS}
    box = loop.policy.spec.recipe
    assert box is not None
    told |= {"out": str(out), "rate_hz": RATE_HZ, "points": 512, "demonstrator": "bridge"}
    told |= {"keep_faulty": True}  # a busy machine is late now and then, and memory is the question
    told |= {"crop_min": box["crop_min"], "crop_max": box["crop_max"]}
    path = place.folder / "recorder.yaml"
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": told}}))
    node = ["real_robot.leash", "real_robot.ros2.recorder"]
    words = [str(python), "-m", *node, "--ros-args", "--params-file", str(path)]
    return place.start("recorder", words)


def soaked(minutes: float, bridge: str, robot: str) -> dict[str, Any]:
    """Drives and records for a time; what was measured."""
    seconds = minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        place, python = LoopPlace(Path(folder), 71), ros_python(bridge)
        with Loop(Path(folder), bridge, robot, clock="system", domain=71) as loop:
            loop.robot.arm()
            loop.move()
            out = Path(folder) / "recorded.zarr"
            recording = recorder(place, python, loop, out)
            words = [
                str(python),
                str(CALLER),
                f"{EPISODE_S}",
                f"{seconds - EPISODE_S}",
            ]
            caller = place.start("caller", words, answers=True)
            pids = {"bridge": loop.bridge.process.pid, "recorder": recording.pid}
            times_s: list[float] = []
            mib: dict[str, list[float]] = {name: [] for name in pids}
            loop.robot.mark()
            begun_s = time.monotonic()
            while (now_s := time.monotonic() - begun_s) < seconds:
                times_s.append(round(now_s, 1))
                for name, pid in pids.items():
                    mib[name].append(round(resident_mib(pid), 2))
                time.sleep(EVERY_S)
            commands = loop.robot.report()["commands"]
            counts = loop.refusals()
            replies = [json.loads(line) for line in caller.communicate(timeout=120)[0].splitlines()]
            recording.send_signal(signal.SIGTERM)
            recording.wait(60)
        checked = check_dataset(out)
        size_mib = sum(each.stat().st_size for each in out.rglob("*") if each.is_file()) / 2**20
    return {
        "minutes": minutes,
        "commands": commands,
        "refusals": counts,
        "episodes": checked.episodes,
        "steps": checked.steps,
        "with_faults": [each["message"] for each in replies if "with" in each["message"]],
        "replies_not_ok": [each["message"] for each in replies if not each["ok"]],
        "dataset_mib": round(size_mib, 1),
        "dataset_errors": checked.errors,
        "findings": [each.code for each in checked.findings],
        "times_s": times_s,
        "resident_mib": mib,
        "mib_per_hour": {name: round(slope(times_s, each), 2) for name, each in mib.items()},
    }


def report(found: dict[str, Any], command: str) -> str:
    """What was measured as a page."""
    machine = machine_facts("cpu")
    rows = []
    for name, mib in found["resident_mib"].items():
        warm = mib[int(WARM * len(mib))]
        grows = found["mib_per_hour"][name]
        rows.append(f"| {name} | {mib[0]:.1f} | {warm:.1f} | {mib[-1]:.1f} | {grows:+.1f} |")
    lines = [
        f"# A soak of {found['minutes']:g} minutes over ROS 2",
        "",
        f"- command: {command}",
        f"- machine: {machine['cpu']}, {machine['cores']} cores, shared with other work",
        f"- versions: {', '.join(f'{n} {v}' for n, v in package_versions().items())}",
        "",
        f"The bridge gave {found['commands']} commands to {TASK} at {RATE_HZ:g} steps a second.",
        f"The recorder kept {found['episodes']} episodes of {found['steps']} steps in one dataset",
        f"({found['dataset_mib']} MiB); `data check` finds {found['dataset_errors']} errors in it.",
        "Steps came late, inputs were stale, or two commands in a step made an action beyond its",
        f"limits in {len(found['with_faults'])} episodes, kept as the parameters say;",
        f"{len(found['replies_not_ok'])} were not kept.",
        "",
        f"Resident memory, MiB; growth is of a line through what comes after the first {WARM:.0%}:",
        "",
        "| process | at the begin | warm | at the end | MiB an hour |",
        "|---|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Soaks, and writes what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="path of the results, without suffix")
    parser.add_argument("--minutes", type=float, default=10.0)
    words = parser.parse_args()
    found = soaked(words.minutes, "jazzy", "kilted")
    command = f"python -m benchmarks.ros.soak --minutes {words.minutes:g} --out {words.out}"
    print(report(found, command))
    if words.out:
        told = {"command": command, "machine": machine_facts("cpu"), **found}
        Path(words.out + ".json").write_text(json.dumps(told, indent=1) + "\n")
        Path(words.out + ".md").write_text(report(found, command))
    is_flat = max(found["mib_per_hour"].values()) < MOST_MIB_PER_HOUR
    return 0 if is_flat and not found["dataset_errors"] and found["episodes"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
