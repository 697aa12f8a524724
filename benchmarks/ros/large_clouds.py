"""How many clouds of 4.9 MB arrive, with and without the profile of Fast DDS that the package has.

    MFPOLICY_ROS=.ros python -m benchmarks.ros.large_clouds --out benchmarks/results/NAME

Two processes over loopback, ten clouds a second, one kept on each side.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.cells import machine
from real_robot.simulated import LoopPlace, ros_python

ROOT = Path(__file__).resolve().parents[2]
PROFILE = ROOT / "ros" / "mfpolicy_robot" / "config" / "fastdds_large_clouds.xml"
SCRIPT = Path(__file__).with_name("send_clouds.py")
PAIRS = (("jazzy", "jazzy"), ("kilted", "kilted"), ("kilted", "jazzy"))
RELIABILITIES = ("best_effort", "reliable")
COUNT, PATIENCE_S = 50, 180


def sent_and_taken(
    place: LoopPlace, sender: str, taker: str, reliability: str, *, has_profile: bool
) -> dict[str, Any]:
    """Sends clouds from one distribution to the other, and counts them."""
    env = dict(place.environment())
    if has_profile:  # the name before Kilted, and since
        env["FASTRTPS_DEFAULT_PROFILES_FILE"] = env["FASTDDS_DEFAULT_PROFILES_FILE"] = str(PROFILE)
    processes = [
        subprocess.Popen(
            [ros_python(distribution), SCRIPT, role, reliability, str(COUNT)],
            env=env,
            stdout=subprocess.PIPE,
            text=True,
        )
        for role, distribution in (("take", taker), ("send", sender))
    ]
    try:
        taken, sent = (int(each.communicate(timeout=PATIENCE_S)[0]) for each in processes)
    finally:
        for each in processes:
            each.kill()
            each.wait()
    return {
        "sender": sender, "taker": taker, "reliability": reliability, "has_profile": has_profile,
        "sent": sent, "taken": taken, "load_average": os.getloadavg()[0],
    }  # fmt: skip


def report(rows: list[dict[str, Any]], command: str) -> str:
    """The counts as a page."""
    lines = [
        "# Large clouds over ROS 2",
        "",
        f"- command: {command}",
        f"- machine: {machine()}, beside other work",
        "",
        f"{COUNT} clouds of 640 x 480 points, 4.9 MB each, 10 a second, from one process to",
        "another over loopback; `cloud_depth: 1`. The profile, shared memory of 64 MiB, is",
        "[of the package](../../ros/mfpolicy_robot/config/fastdds_large_clouds.xml); two versions",
        "of Fast DDS do not share it.",
        "",
        "| from → to | `cloud_reliability` | without the profile | with it | load |",
        "|---|---|---|---|---|",
    ]
    found = {(r["sender"], r["taker"], r["reliability"], r["has_profile"]): r for r in rows}
    for sender, taker in PAIRS:
        for reliability in RELIABILITIES:
            each = [found[sender, taker, reliability, has] for has in (False, True)]
            counts = " | ".join(f"{row['taken']} of {row['sent']}" for row in each)
            load = max(row["load_average"] for row in each)
            lines.append(f"| {sender} → {taker} | {reliability} | {counts} | {load:.1f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Counts in all cases, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="path of the results, without suffix")
    words = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = LoopPlace(Path(folder))
        for sender, taker in PAIRS:
            for reliability in RELIABILITIES:
                for has_profile in (False, True):
                    rows.append(
                        sent_and_taken(place, sender, taker, reliability, has_profile=has_profile)
                    )
                    print(rows[-1], flush=True)
    command = f"python -m benchmarks.ros.large_clouds --out {words.out}"
    print(report(rows, command))
    if words.out:
        Path(words.out + ".json").write_text(
            json.dumps({"command": command, "rows": rows}, indent=1) + "\n"
        )
        Path(words.out + ".md").write_text(report(rows, command))


if __name__ == "__main__":
    main()
