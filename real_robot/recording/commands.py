"""`Commands`: the demonstrator's messages → what is commanded at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfpolicy.errors import ObservationError
from real_robot.parameters import RobotParameters

Vector = NDArray[np.float64]
_LARGEST = 1e6


class Commands:
    """The last command of a demonstrator.

    Args:
        parameters: names of the axes, and what is commanded.
        kind: of the messages, see :data:`real_robot.recording.settings.ACTION_TYPES`.
        world_frame: that poses and twists must name, or none.

    Attributes:
        received_s: when the last one came; None before the first.
    """

    def __init__(self, parameters: RobotParameters, kind: str, world_frame: str) -> None:
        self._axes, self._quantity = parameters.axes, parameters.quantity
        self._read = getattr(self, f"_{kind}")
        self._world_frame = world_frame
        self.forget()

    def forget(self) -> None:
        """None has come."""
        self.received_s: float | None = None
        self._times_s, self._targets = np.zeros(0), np.zeros((0, len(self._axes)))

    def take(self, message: Any, now_s: float) -> None:
        """Takes a message.

        Raises:
            ObservationError: an axis is missing, a number is not finite, or it is of another frame.
        """
        times_s, targets = self._read(message)
        targets = np.asarray(targets, np.float64).reshape(-1, len(self._axes))
        if not len(targets) or not (np.abs(targets) <= _LARGEST).all():  # nor NaN
            raise ObservationError(
                f"a command must be finite numbers, at most {_LARGEST:g}",
                received=targets.tolist()[:2],
            )
        self._times_s, self._targets = now_s + np.asarray(times_s, np.float64), targets
        self.received_s = now_s

    def at(self, time_s: float) -> Vector | None:
        """What is commanded at a time (D,): a trajectory's point then, or else the last command."""
        if self.received_s is None:
            return None
        return np.array([np.interp(time_s, self._times_s, each) for each in self._targets.T])

    def _joint_trajectory(self, message: Any) -> tuple[list[float], list[list[float]]]:
        names = [str(name) for name in message.joint_names]
        times_s, targets = [], []
        for point in message.points:
            due = point.time_from_start
            times_s.append(due.sec + due.nanosec * 1e-9)
            targets.append(self._by_name(names, point.positions))
        if (np.diff(times_s) < 0).any():
            raise ObservationError("points of a trajectory must follow in time", received=times_s)
        return times_s, targets

    def _joint_state(self, message: Any) -> tuple[list[float], list[list[float]]]:
        names = [str(name) for name in message.name]
        return [0.0], [self._by_name(names, getattr(message, self._quantity))]

    def _float64_multi_array(self, message: Any) -> tuple[list[float], list[Any]]:
        if len(message.data) != len(self._axes):
            raise ObservationError(
                f"a command must have {len(self._axes)} numbers, for {', '.join(self._axes)}",
                received=len(message.data),
            )
        return [0.0], [message.data]

    def _pose_stamped(self, message: Any) -> tuple[list[float], list[list[float]]]:
        return [0.0], [self._xyz(message.header, message.pose.position)]

    def _twist_stamped(self, message: Any) -> tuple[list[float], list[list[float]]]:
        return [0.0], [self._xyz(message.header, message.twist.linear)]

    def _by_name(self, names: list[str], numbers: Any) -> list[float]:
        if len(names) != len(numbers):
            raise ObservationError(
                f"a command must have one {self._quantity} for each name",
                received=(len(names), len(numbers)),
            )
        found = dict(zip(names, numbers, strict=True))
        missing = [name for name in self._axes if name not in found]
        if missing:
            raise ObservationError(f"a command must name the joints {missing}", received=names)
        return [float(found[name]) for name in self._axes]

    def _xyz(self, header: Any, place: Any) -> list[float]:
        if header.frame_id not in ("", self._world_frame):
            raise ObservationError(
                f"a command must be in the frame {self._world_frame!r}",
                received=header.frame_id[:80],
            )
        return [place.x, place.y, place.z]
