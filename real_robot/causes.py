"""`Cause`: why the robot is not moved, and `Refusals`, how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

_NAMED = "refusals/"


class Cause(StrEnum):
    """Why a tick moved nothing, or why an input was thrown away."""

    DISARMED = "disarmed"
    EMERGENCY_STOP = "emergency_stop"
    DRY_RUN = "dry_run"
    CLOCK = "clock"
    EARLY = "early"
    NO_CLOUD = "no_cloud"
    STALE_CLOUD = "stale_cloud"
    OLD_CLOUD = "old_cloud"
    FUTURE_CLOUD = "future_cloud"
    FLOOD_CLOUD = "flood_cloud"
    NO_JOINTS = "no_joints"
    STALE_JOINTS = "stale_joints"
    OLD_JOINTS = "old_joints"
    FUTURE_JOINTS = "future_joints"
    FLOOD_JOINTS = "flood_joints"
    NO_TOOL = "no_tool"
    STALE_TOOL = "stale_tool"
    OLD_TOOL = "old_tool"
    FUTURE_TOOL = "future_tool"
    FLOOD_TOOL = "flood_tool"
    BAD_CLOUD = "bad_cloud"
    BAD_JOINTS = "bad_joints"
    BAD_TOOL = "bad_tool"
    NO_COMMAND = "no_command"
    STALE_COMMAND = "stale_command"
    BAD_COMMAND = "bad_command"
    WRONG_FRAME = "wrong_frame"
    NO_CAMERA_INFO = "no_camera_info"
    UNPAIRED_DEPTH = "unpaired_depth"
    NO_POSE = "no_pose"
    TOO_FEW_POINTS = "too_few_points"
    POLICY_ERROR = "policy_error"
    POLICY_OVERRUN = "policy_overrun"
    LATE_DECISION = "late_decision"
    NAN_ACTION = "nan_action"
    WAITING = "waiting"
    ACTION_LIMITS = "action_limits"
    POSITION = "position"
    WORKSPACE = "workspace"
    GRIPPER = "gripper"
    VELOCITY = "velocity"
    ACCELERATION = "acceleration"
    JUMP = "jump"
    CLAMPED = "clamped"
    AUTO_DISARM = "auto_disarm"


_OF_MESSAGES = frozenset(
    {
        Cause.BAD_CLOUD,
        Cause.BAD_JOINTS,
        Cause.BAD_TOOL,
        Cause.BAD_COMMAND,
        Cause.WRONG_FRAME,
        Cause.NO_CAMERA_INFO,
        Cause.UNPAIRED_DEPTH,
        Cause.NO_POSE,
        Cause.TOO_FEW_POINTS,
    }
)
"""For which a message is thrown away."""

OF_ACTIONS = frozenset(
    {
        Cause.LATE_DECISION,
        Cause.POSITION,
        Cause.WORKSPACE,
        Cause.GRIPPER,
        Cause.VELOCITY,
        Cause.ACCELERATION,
        Cause.JUMP,
    }
)
"""For which actions are refused, and the next ones may pass."""


class Refusals:
    """Counts refusals by cause, and remembers the last.

    Attributes:
        last: the last cause counted, None before the first. detail: what was met, as text.
        thrown_away: the last message that was thrown away, by cause and what was met; empty before
            the first. Ticks that are refused do not hide it.

    Example:
        >>> refusals = Refusals()
        >>> refusals.add(Cause.JUMP, "joint a")
        >>> refusals.counts()
        {'jump': 1}
    """

    def __init__(self) -> None:
        self._counts: Counter[Cause] = Counter()
        self.last: Cause | None = None
        self.detail = self.thrown_away = ""

    def add(self, cause: Cause, detail: str = "") -> None:
        """Counts one."""
        self._counts[cause] += 1
        self.last, self.detail = cause, detail
        if cause in _OF_MESSAGES:
            self.thrown_away = f"{cause}: {detail}" if detail else str(cause)

    def counts(self) -> dict[str, int]:
        """How often by cause, those that were met alone."""
        return {str(cause): count for cause, count in sorted(self._counts.items())}

    def values(self) -> dict[str, str]:
        """As diagnostics name them: the last one, and ``refusals/CAUSE`` for each."""
        last = f"{self.last or 'none'} {self.detail}".strip()
        counts = {_NAMED + name: str(count) for name, count in self.counts().items()}
        return {
            "last_refusal": last,
            "last_thrown_away": self.thrown_away or "none",
            **counts,
        }

    def not_fresh(self, cause: Cause) -> str:
        """What to answer where an input is not fresh: the cause, and what was thrown away last."""
        thrown = f" Thrown away last: {self.thrown_away}" if self.thrown_away else ""
        return f"inputs must be fresh: {cause}. See the topics and timeouts.{thrown}"


def counts_in(values: Mapping[str, str]) -> dict[str, int]:
    """The counts by cause in the values of diagnostics: `Refusals.values`, read.

    Example:
        >>> counts_in({"armed": "true", "refusals/jump": "2"})
        {'jump': 2}
    """
    return {
        name.removeprefix(_NAMED): int(count)
        for name, count in values.items()
        if name.startswith(_NAMED)
    }
