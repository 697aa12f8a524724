"""The closed loop over real ROS 2: success beside the same policy in process, ticks, latency.

Needs the environments of scripts/ros_environments.sh and runs of this package:

    python -m benchmarks.ros.closed_loop --runs runs/drawer-open runs/button-press \
        --out benchmarks/results/2026-11-28-ros-closed-loop

Runs take turns in which distribution the controller has and which the robot; the first of them is
timed by the computer's clock, at the niceness that this is run at. What is in the JSON file already
is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from benchmarks.cells import machine
from benchmarks.ros.timing import timed
from mfpolicy.cli.robot.driving import drive
from mfpolicy.config import compose

PAIRS = (("jazzy", "kilted"), ("kilted", "jazzy"))
CAMERAS = ("depth", "cloud")


def success(run: Path, place: int, given: argparse.Namespace) -> dict[str, Any]:
    """The summary of a run's closed loop, with the load of the machine before and after."""
    bridge, peer = PAIRS[place % 2]
    before = os.getloadavg()[0]
    words = [str(run), f"episodes={given.episodes}", f"out={given.work / run.name}"]
    words += [f"bridge={bridge}", f"peer={peer}", f"camera={CAMERAS[place % 2]}"]
    words += [f"realtime_factor={given.realtime_factor}", "device=cpu"]
    summary = drive(compose("robot", words))
    summary["in_process"]["folder"] = Path(summary["in_process"]["folder"]).name
    return {
        **summary,
        "run": run.name,
        "trained": trained(run),
        "load_average": [before, os.getloadavg()[0]],
    }


def trained(run: Path) -> dict[str, Any]:
    """What a run was trained on, and for how long."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    data = yaml.safe_load((run / "data.yaml").read_text())
    return {
        "preset": config["policy"]["name"],
        "steps": config["training"]["steps"],
        "demonstrations": data["episodes"],
    }


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    begin = (
        f"Controller and robot as processes over loopback, {machine()}, beside other work (load "
        "averages below)."
    )
    lines = [begin, "", *success_table(result["success"].values()), ""]
    return "\n".join([*lines, *timing_table(result["timing"].values())]) + "\n"


def success_table(runs: Iterable[dict[str, Any]]) -> list[str]:
    """Success over ROS beside success in process, a line a run."""
    lines = [
        "Success as `mfpolicy eval` counts it; Wilson 95 % intervals; the same seeds from 10000 in "
        "process. Times in ms of the computer's clock.",
        "",
        "| task | policy | controller → robot | camera | success over ROS | success in process | "
        "real time | frame to command p50 / p99 | decision p50 / p99 | "
        "steps without a command | load |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    refusals = []
    for each in runs:
        policy = each["trained"]
        ros, age, decision = each["ros"], each["frame_to_command_ms"], each["decision_ms"]
        sides = f"{ros['bridge']['distribution']} → {ros['peer']['distribution']}"
        lines.append(
            f"| {each['task']} | `{policy['preset']}`, {policy['demonstrations']} demonstrations, "
            f"{policy['steps']} steps | {sides} | {each['camera']} | "
            f"{_rate(each['success_rate'])} | {_rate(each['in_process']['success_rate'])} | "
            f"{each['realtime_factor']['reached']:.3f} | {age['p50']:.0f} / {age['p99']:.0f} | "
            f"{decision['p50']:.0f} / {decision['p99']:.0f} | "
            f"{each['steps_without_command']} of {each['steps']} | {_load(each)} |"
        )
        refusals.append(f"{each['task']}: {_counts(each)}")
    lines += [
        "",
        "Simulated time, `realtime_factor` of it a second; a frame to command time holds the wait "
        "for the next tick, whose phase is arbitrary. `clamped`: the policy drives against the box "
        "that Meta-World keeps its hand in, at the end of an episode or from its beginning "
        f"(button-press starts there). Refusals: {'; '.join(refusals)}.",
    ]
    return lines


def timing_table(runs: Iterable[dict[str, Any]]) -> list[str]:
    """Ticks and latency by the computer's clock, a line a rate, pair of distributions, niceness."""
    lines = [
        "Ticks and latency by the computer's clock: the trained policy, told that it was trained "
        "at this rate, so the simulation runs slowly and its motion has no meaning.",
        "",
        "| rate | controller → robot | camera | tick period std, median (largest) of 2 s windows | "
        "tick period p99, median (largest) | cloud to command p50 / p99 | decision p50 / p99 | "
        "frames, commands per s | load, niceness |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    refusals = []
    for each in runs:
        std, p99 = each["tick_std_ms"], each["tick_p99_ms"]
        lines.append(
            f"| {each['rate_hz']:g} Hz, {each['seconds']:.0f} s | {each['bridge']} → "
            f"{each['peer']} | {each['camera']} | {std['median']:.2f} ({std['largest']:.2f}) | "
            f"{p99['median']:.1f} ({p99['largest']:.1f}) | "
            f"{each['cloud_to_command_p50_ms']:.1f} / {each['cloud_to_command_p99_ms']:.1f} | "
            f"{each['decision_p50_ms']:.1f} / {each['decision_p99_ms']:.1f} | "
            f"{each['frames_hz']:.1f}, {each['commands_hz']:.1f} | {_load(each)}, "
            f"{each['niceness']} |"
        )
        refusals.append(f"{each['rate_hz']:g} Hz: {_counts(each)}")
    lines += [
        "",
        "`cloud to command` begins at the stamp of the depth image, which is made before it is "
        "rendered, and ends with the first command decided on it, of the last 300 decisions: it "
        "holds rendering, and the wait for the next tick, whose phase is arbitrary. A niceness "
        "below 0 takes the processor before the other work, 0 shares it. "
        f"Refusals: {'; '.join(refusals)}.",
    ]
    return lines


def _load(each: dict[str, Any]) -> str:
    return " to ".join(f"{number:.1f}" for number in each["load_average"])


def _counts(each: dict[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in each["refusals"].items())


def _rate(rate: dict[str, Any]) -> str:
    low, high = rate["interval"]
    return f"{rate['k']}/{rate['n']} ({low:.0%} to {high:.0%})"


def main() -> None:
    """Runs what is missing and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", nargs="+", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--realtime-factor", type=float, default=0.1)
    parser.add_argument("--rates", nargs="*", type=float, default=[10.0, 30.0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--work", type=Path, default=Path("runs/ros_closed_loop"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    path = given.out.with_suffix(".json")
    result: dict[str, Any] = {"success": {}, "timing": {}}
    if path.is_file():
        result = json.loads(path.read_text())
    given.out.parent.mkdir(parents=True, exist_ok=True)

    def keep() -> None:
        path.write_text(json.dumps(result, indent=1) + "\n")
        given.out.with_suffix(".md").write_text(table(result))

    for rate_hz in given.rates:
        for bridge, peer in PAIRS:
            key = f"{rate_hz:g} Hz, {bridge} to {peer}, niceness {os.nice(0)}"
            if key not in result["timing"]:
                result["timing"][key] = timed(
                    given.runs[0], rate_hz, given.seconds, given.work / "timing",
                    bridge=bridge, peer=peer, camera="depth",
                )  # fmt: skip
                keep()
    for place, run in enumerate(given.runs):
        if run.name not in result["success"]:
            result["success"][run.name] = success(run, place, given)
            keep()
    keep()
    print(table(result))


if __name__ == "__main__":
    main()
