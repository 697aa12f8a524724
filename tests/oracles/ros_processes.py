"""Processes of ROS 2 that tests start, each in the environment of a distribution."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from oracles.ros_environments import ROOT
from real_robot.simulated.environments import own_domain, without_ros


def ros_variables(domain: int = 0) -> dict[str, str]:
    """Variables of a process of ROS that hears this machine's loopback alone.

    Args:
        domain: tells the processes of one test from those of another.
    """
    return {
        **without_ros(os.environ),
        "PYTHONPATH": str(ROOT),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": str(own_domain(domain)),
    }


def ros(environments: Path, name: str, *words: object, domain: int = 0) -> subprocess.Popen:
    """A Python of a distribution.

    Args:
        environments: their folder.
        name: of the distribution.
        words: for Python.
        domain: see `ros_variables`.
    """
    return subprocess.Popen(
        [environments / name / "bin" / "python", *map(str, words)], env=ros_variables(domain),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def played(node: subprocess.Popen, peer: subprocess.Popen) -> dict[str, Any]:
    """What the peer of a node says when it is done; the node is ended in order, and must obey."""
    try:
        out, errors = peer.communicate(timeout=240)
        node.send_signal(signal.SIGTERM)
        log = "".join(node.communicate(timeout=30))
    finally:
        peer.kill()
        node.kill()
    assert peer.returncode == 0, errors[-3000:] + log[-3000:]
    assert node.returncode == 0, log
    return json.loads(out)


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
