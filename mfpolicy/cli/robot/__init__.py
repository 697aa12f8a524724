"""``mfpolicy robot``."""

from __future__ import annotations

from collections.abc import Sequence

from mfpolicy.cli.help import answers_itself
from mfpolicy.config import compose

__all__ = ["run"]


def run(words: Sequence[str]) -> int:
    """Drives a simulated robot over ROS 2 and shows how often it succeeds."""
    if answers_itself("robot", words):
        return 0
    from mfpolicy.cli.robot.driving import drive
    from mfpolicy.cli.robot.summary import show

    show(drive(compose("robot", words)))
    return 0
