"""`Cause`: why the robot is not moved, and `Refusals`, how often."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum


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
    NO_JOINTS = "no_joints"
    STALE_JOINTS = "stale_joints"
    OLD_JOINTS = "old_joints"
    FUTURE_JOINTS = "future_joints"
    NO_TOOL = "no_tool"
    STALE_TOOL = "stale_tool"
    OLD_TOOL = "old_tool"
    FUTURE_TOOL = "future_tool"
    BAD_CLOUD = "bad_cloud"
    BAD_JOINTS = "bad_joints"
    BAD_TOOL = "bad_tool"
    NO_COMMAND = "no_command"
    STALE_COMMAND = "stale_command"
    BAD_COMMAND = "bad_command"
    WRONG_FRAME = "wrong_frame"
    NO_CAMERA_INFO = "no_camera_info"
    UNPAIRED_DEPTH = "unpaired_depth"
    TOO_FEW_POINTS = "too_few_points"
    POLICY_ERROR = "policy_error"
    POLICY_OVERRUN = "policy_overrun"
    LATE_DECISION = "late_decision"
    NAN_ACTION = "nan_action"
    WAITING = "waiting"
    POSITION = "position"
    WORKSPACE = "workspace"
    GRIPPER = "gripper"
    VELOCITY = "velocity"
    ACCELERATION = "acceleration"
    JUMP = "jump"
    CLAMPED = "clamped"
    AUTO_DISARM = "auto_disarm"


class Refusals:
    """Counts refusals by cause, and remembers the last.

    Attributes:
        last: the last cause counted, None before the first. detail: what was met, as text.

    Example:
        >>> refusals = Refusals()
        >>> refusals.add(Cause.JUMP, "joint a")
        >>> refusals.counts()
        {'jump': 1}
    """

    def __init__(self) -> None:
        self._counts: Counter[Cause] = Counter()
        self.last: Cause | None = None
        self.detail = ""

    def add(self, cause: Cause, detail: str = "") -> None:
        """Counts one."""
        self._counts[cause] += 1
        self.last, self.detail = cause, detail

    def counts(self) -> dict[str, int]:
        """How often by cause, those that were met alone."""
        return {str(cause): count for cause, count in sorted(self._counts.items())}
