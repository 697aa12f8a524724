"""Processes of ROS 2 that tests start, each in the environment of a distribution."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from oracles.ros_environments import ROOT


def ros(environments: Path, name: str, *words: object, domain: int = 0) -> subprocess.Popen:
    """A Python of a distribution, on this machine's loopback alone.

    Args:
        environments: their folder.
        name: of the distribution.
        words: for Python.
        domain: tells the processes of one test from those of another.
    """
    env = {**os.environ, "PYTHONPATH": str(ROOT), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    env["ROS_DOMAIN_ID"] = str(1 + (os.getpid() + domain) % 100)
    for leaked in ("LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE"):
        env.pop(leaked, None)
    return subprocess.Popen(
        [environments / name / "bin" / "python", *map(str, words)],
        env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


class Asked:
    """A process that answers each line on its stdin by a line of JSON.

    Args:
        process: that was started.
    """

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process

    def __call__(self, words: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()[-3000:]
        return json.loads(line)
