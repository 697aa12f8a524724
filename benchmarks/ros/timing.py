"""Ticks and latency of the controller by the computer's own clock, at the rates of real robots.

A policy is told that it was trained at another rate, so the simulation runs slowly: what is timed
is the controller, its policy server and ROS, and what moves is of no meaning.
"""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.policy import load_policy, save_policy
from real_robot.causes import counts_in
from real_robot.simulated import (
    Bridge,
    LoopPlace,
    PolicyProcess,
    SimulatedRobot,
    bridge_parameters,
    ros_python,
)

WINDOW_S = 2.0
"""Over which the controller's diagnostics measure ticks."""

ENDLESS = 1_000_000


def timed(
    run: Path, rate_hz: float, seconds: float, work: Path, *, bridge: str, peer: str, camera: str
) -> dict[str, Any]:
    """Ticks for a time, by real processes.

    Returns:
        What :func:`measured` says, with how it was run, the load of the machine, and the niceness
        of all processes.
    """
    policy = load_policy(run)
    policy.spec = dataclasses.replace(policy.spec, control_rate_hz=rate_hz)
    work.mkdir(parents=True, exist_ok=True)
    save_policy(policy, work / "run")
    place = LoopPlace(work)
    before = os.getloadavg()[0]
    with (
        PolicyProcess(place, str(work / "run"), "device=cpu", "threads=1") as server,
        SimulatedRobot(
            place,
            ros_python(peer),
            str(policy.spec.task),
            steps_hz=rate_hz,
            clock="system",
            camera=camera,
            recipe=policy.spec.recipe,
            horizon=ENDLESS,
        ) as robot,
        Bridge(
            place,
            ros_python(bridge),
            bridge_parameters(robot.world, camera=camera, server=server.url, steps_hz=rate_hz),
        ),
    ):
        found = measured(robot, seconds)
    return {
        "rate_hz": rate_hz,
        "camera": camera,
        "bridge": bridge,
        "peer": peer,
        **found,
        "load_average": [before, os.getloadavg()[0]],
        "niceness": os.nice(0),
    }


def measured(robot: SimulatedRobot, seconds: float) -> dict[str, Any]:
    """What a controller says of its ticks while it drives a robot; all in ms of wall time.

    Returns:
        ``tick_std`` and ``tick_p99``, median and largest over windows of two seconds; percentiles
        of the last 300 decisions, ``cloud_to_command`` from the stamp of a depth image, made before
        it was rendered, to the first command decided on it; intervals of commands at the robot.
    """
    robot.change("configure")
    robot.change("activate")
    robot.begin(seed=10000)
    robot.arm()
    time.sleep(WINDOW_S)
    robot.mark()
    windows: list[dict[str, Any]] = []
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        time.sleep(WINDOW_S)
        windows.append(robot.diagnostics()["values"])
    report = robot.report()
    robot.serve("disarm")
    last = robot.diagnostics()["values"]
    return {
        "seconds": report["elapsed_s"],
        "frames_hz": report["frames"] / report["elapsed_s"],
        "commands_hz": report["commands"] / report["elapsed_s"],
        "tick_std_ms": _over(windows, "tick_jitter_ms"),
        "tick_p99_ms": _over(windows, "tick_period_p99_ms"),
        **{
            f"{name}_{part}_ms": float(last[f"{name}_{part}_ms"])
            for name in ("decision", "cloud_to_command")
            for part in ("p50", "p99")
        },
        "command_interval_ms": {
            "std": float(np.std(report["intervals_ms"])),
            "p99": float(np.percentile(report["intervals_ms"], 99)),
        },
        "refusals": counts_in(last),
    }


def _over(windows: list[dict[str, Any]], name: str) -> dict[str, float]:
    found = [float(each[name]) for each in windows]
    return {"median": float(np.median(found)), "largest": float(np.max(found)), "n": len(found)}
