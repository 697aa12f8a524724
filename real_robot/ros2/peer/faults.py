"""What can go wrong with a robot's sensors, one fault at a time, as it is told to."""

# pyright: reportMissingImports=false

from __future__ import annotations

import array
from typing import Any

import numpy as np

FAULTS = (
    "camera_stall",
    "joints_stall",
    "tool_stall",
    "nan_cloud",
    "garbage",
    "wrong_frame",
    "clock_jump",
    "clock_back",
    "clock_stop",
    "flood",
)
JUMP_NS = 10_000_000_000
FLOOD = 30
"""Times that each message is sent in a flood."""

_NONSENSE = 77


class Fault:
    """The fault of now, and what it does to what is sent.

    Attributes:
        name: one of ``FAULTS``; empty where all is well.
    """

    def __init__(self) -> None:
        self.name = ""
        self._jumped_ns = 0
        self._stopped_ns: int | None = None

    def become(self, name: str) -> None:
        """From now on this one; a clock that jumped stays where it is.

        Raises:
            ValueError: there is no such fault.
        """
        if name not in ("", *FAULTS):
            raise ValueError(f"a fault must be one of {', '.join(FAULTS)}, or empty, not {name!r}")
        self._jumped_ns += {"clock_jump": JUMP_NS, "clock_back": -JUMP_NS}.get(name, 0)
        self.name, self._stopped_ns = name, None

    def time_ns(self, ns: int) -> int:
        """A time as the clock tells it."""
        if self.name == "clock_stop":
            self._stopped_ns = self._stopped_ns or ns + self._jumped_ns
            return self._stopped_ns
        return ns + self._jumped_ns

    def times(self, source: str) -> int:
        """How often a message of ``camera``, ``joints`` or ``tool`` is sent."""
        if self.name == f"{source}_stall":
            return 0
        return FLOOD if self.name == "flood" else 1

    def spoil(self, message: Any) -> None:
        """Spoils a depth image or a cloud."""
        if self.name == "wrong_frame":
            message.header.frame_id = "elsewhere"
        elif self.name == "nan_cloud":
            nan = np.full(len(message.data) // 4, np.nan, "<f4")
            message.data = array.array("B", nan.tobytes())
        elif self.name == "garbage":
            if hasattr(message, "fields"):
                for each in message.fields:
                    each.offset, each.datatype = _NONSENSE, _NONSENSE
            else:
                message.encoding = "nonsense"
            message.data = message.data[: len(message.data) // 3]
