"""What the bridge does in each fault, with real processes over ROS 2.

    MFPOLICY_ROS=.ros python -m benchmarks.ros.faults --out benchmarks/results/NAME

A simulated robot of Meta-World in one process, the controller's node in another, on the other
distribution; a stand-in for a policy swings the tool. Each fault begins while the robot moves.
Then ``SETTLE_S`` pass, in which inputs become stale and the hold goes out; in the ``WATCHED_S``
after that nothing must come. Exits with 1 where an outcome is not the one expected.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.ros.trials import FAULTS, LIMITS, RATE_HZ, RATES, TASK, Fault, Loop
from mfpolicy.evaluation.machine import machine_facts, package_versions

SETTLE_S, WATCHED_S = 4.0, 3.0
AT_REST_MM = 5.0
"""That the tool may move while it is watched: the simulated arm settles eight times slower here."""


@dataclass(frozen=True)
class Outcome:
    """What was seen of a fault.

    Attributes:
        fault: its name. clock: of the loop. bridge, robot: distributions.
        last_command_s: of the last command before silence, since the fault began.
        commands: that came afterwards, while it was watched. moved_mm: by the tool, meanwhile.
        level, line: of the diagnostics. refusals: counted meanwhile, by cause.
        resumed_s: from the fault's end, or from arming, until commands came again.
        is_right: whether all is as expected. wrong: what is not.
    """

    fault: str
    clock: str
    bridge: str
    robot: str
    last_command_s: float | None
    commands: int
    moved_mm: float
    level: int | None
    line: str
    refusals: dict[str, int]
    resumed_s: float
    is_right: bool
    wrong: str


def tried(loop: Loop, fault: Fault, bridge: str, robot: str) -> Outcome:
    """Lets a fault begin while the robot moves, watches, ends it, and waits for motion."""
    loop.robot.arm()
    loop.move()
    before = loop.refusals()
    loop.robot.mark()
    begun_s = time.monotonic()
    fault.begin(loop)
    time.sleep(SETTLE_S)
    settled = loop.robot.report()
    last_s = time.monotonic() - begun_s - settled["silent_s"] if settled["commands"] else None
    loop.robot.mark()
    time.sleep(WATCHED_S)
    seen = loop.robot.report()
    moved_mm = float(np.linalg.norm(np.subtract(seen["tool"], settled["tool"]))) * 1e3
    said = loop.robot.diagnostics() if fault.has_bridge else {}
    counts = loop.refusals() if fault.has_bridge else {}
    if fault.name == "node restart":
        before = {}
    met = {name: n - before.get(name, 0) for name, n in counts.items() if n > before.get(name, 0)}
    fault.end(loop)
    if fault.resumes == "arm":
        loop.robot.arm()
    resumed_s = loop.move()
    wrong = []
    if seen["commands"]:
        wrong.append(f"{seen['commands']} commands")
    if not moved_mm < AT_REST_MM:
        wrong.append(f"moved by {moved_mm:.1f} mm")
    if not any(name.startswith(fault.cause) for name in met) and fault.cause:
        wrong.append(f"{fault.cause} was not counted")
    if not re.fullmatch(fault.says, said.get("message", "")):
        wrong.append(f"the diagnostics say {said.get('message')!r}")
    return Outcome(
        fault.name, fault.clock, bridge, robot,
        None if last_s is None else round(last_s, 2),
        seen["commands"], round(moved_mm, 3), said.get("level"), said.get("message", ""), met,
        round(resumed_s, 1), not wrong, "; ".join(wrong),
    )  # fmt: skip


def run(bridge: str, robot: str, only: str = "") -> list[Outcome]:
    """All faults, the bridge in one distribution and the robot in the other."""
    outcomes = []
    for number, clock in enumerate(("system", "simulated")):
        wanted = [each for each in FAULTS if each.clock == clock and only in each.name]
        if not wanted:
            continue
        with (
            tempfile.TemporaryDirectory() as folder,
            Loop(Path(folder), bridge, robot, clock=clock, domain=61 + number) as loop,
        ):
            for fault in wanted:
                outcomes.append(tried(loop, fault, bridge, robot))
                print(_row(outcomes[-1]), flush=True)
    return outcomes


def _row(outcome: Outcome) -> str:
    counted = ", ".join(f"{name} {count}" for name, count in outcome.refusals.items())
    last = "-" if outcome.last_command_s is None else f"{outcome.last_command_s:.1f}"
    right = "yes" if outcome.is_right else outcome.wrong
    return (
        f"| {outcome.fault} | {outcome.bridge} | {last} | {outcome.commands} | "
        f"{outcome.moved_mm:.2f} | {outcome.line or '-'} | {counted or '-'} | "
        f"{outcome.resumed_s:.1f} | {right} |"
    )


def report(outcomes: list[Outcome], command: str) -> str:
    """The outcomes as a page."""
    right = sum(each.is_right for each in outcomes)
    machine = machine_facts("cpu")
    versions = ", ".join(f"{name} {version}" for name, version in package_versions().items())
    columns = (
        "fault", "bridge", "last command s", "then", "moved mm", "diagnostics say", "counted",
        "moves again s", "as expected",
    )  # fmt: skip
    told = _TOLD.format(
        task=TASK, rate_hz=RATE_HZ, stale_s=LIMITS["cloud_timeout_s"], watched_s=WATCHED_S,
        settle_s=SETTLE_S, at_rest_mm=AT_REST_MM, max_hz=RATES["cloud_max_hz"],
    )  # fmt: skip
    lines = [
        "# Faults over ROS 2",
        "",
        f"- command: {command}",
        f"- machine: {machine['cpu']}, {machine['cores']} cores, shared with other work",
        f"- versions: {versions}",
        "",
        f"**{right} of {len(outcomes)} outcomes as expected.**",
        "",
        told,
        f"| {' | '.join(columns)} |",
        "|" + "---|" * len(columns),
        *map(_row, outcomes),
    ]
    return "\n".join(lines) + "\n"


_TOLD = """\
The task is {task} at {rate_hz:g} steps a second, depth images; inputs are stale after
{stale_s:g} s. A stand-in for a policy swings the tool: the bridge is what is tried. The robot is
in the other distribution than the bridge.

- *last command*: seconds from the begin of the fault to the last command, the hold
- *then*: commands in the {watched_s:g} s that begin {settle_s:g} s after it, and how far the tool
  *moved* in them
- *counted*: refusals since the begin, by cause, those of arming among them
- *moves again*: seconds from the end of the fault, or from arming where it must be armed again, one
  of which are spent on looking

More than {max_hz:g} messages a second on a topic, and a clock that jumps or stops disarm:
somebody must arm again. After `kill -9` no hold can come: a robot that is given positions stays at
the last one. At rest is a tool that moves less than {at_rest_mm:g} mm: the simulation is eight
times slower than real time, and so does its arm settle.
"""


def main() -> int:
    """Runs all faults in both directions, and writes what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="path of the results, without suffix")
    parser.add_argument("--bridge", default="jazzy,kilted", help="distributions of the bridge")
    parser.add_argument("--only", default="", help="faults whose name has this in it")
    words = parser.parse_args()
    other = {"jazzy": "kilted", "kilted": "jazzy"}
    outcomes = [
        each for name in words.bridge.split(",") for each in run(name, other[name], words.only)
    ]
    if words.out:
        command = f"python -m benchmarks.ros.faults --out {words.out}"
        told = {
            "command": command, "machine": machine_facts("cpu"), "versions": package_versions(),
            "outcomes": [asdict(each) for each in outcomes],
        }  # fmt: skip
        Path(words.out + ".json").write_text(json.dumps(told, indent=1) + "\n")
        Path(words.out + ".md").write_text(report(outcomes, command))
    return 0 if all(each.is_right for each in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
