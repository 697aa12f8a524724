"""`Proprioception`: what the robot says of itself → the policy's state, and what is commanded."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfpolicy.errors import ObservationError
from real_robot.parameters import TOOL_AXES, RobotParameters

Vector = NDArray[np.float64]
_LARGEST = 1e6
_KEPT = 512  # states to choose the one nearest to a cloud from


@dataclass(frozen=True, eq=False)
class JointMessage:
    """The plain fields of ``sensor_msgs/JointState``, for where there is no ROS.

    Attributes:
        name: joints. position (rad or m), velocity, effort: by joint, or empty.
    """

    name: Sequence[str]
    position: Sequence[float]
    velocity: Sequence[float] = ()
    effort: Sequence[float] = ()


class Proprioception:
    """Keeps the newest number of each joint and of the tool, and states of the recent past.

    Messages may hold some of the joints; the state's stamp is that of its oldest number.

    Args:
        parameters: which numbers are needed.
    """

    def __init__(self, parameters: RobotParameters) -> None:
        self._elements, self._axes = parameters.state_elements, parameters.axes
        self._is_tool = parameters.space == "tool"
        commanded = [] if self._is_tool else [f"position/{name}" for name in self._axes]
        needed = dict.fromkeys([*self._elements, *commanded])
        self._needed = [name for name in needed if not name.startswith("tool/")]
        self._joints = {name.partition("/")[2] for name in self._needed}
        rates = () if self._is_tool else self._axes
        # of axes whose velocity is used where it is said, and not needed
        self._rates = {f"velocity/{name}" for name in rates} - set(self._needed)
        self.forget()

    def forget(self) -> None:
        """Nothing has been said."""
        self._values: dict[str, float] = {}
        self._stamps: dict[str, tuple[float, float]] = {}  # stamp and receipt, s
        self._tools: deque[tuple[float, Vector]] = deque(maxlen=2)
        self._states: deque[tuple[float, Vector]] = deque(maxlen=_KEPT)

    def joints(self, message: Any, stamp_s: float, received_s: float) -> tuple[float, float] | None:
        """Takes a JointState.

        Returns:
            Stamp and receipt of the oldest number that is needed; None while one is missing.

        Raises:
            ObservationError: its lists differ in length, or a number that is needed is not finite.
        """
        names = [str(name) for name in message.name]
        found: dict[str, float] = {}
        for source in ("position", "velocity", "effort"):
            numbers = np.asarray(getattr(message, source), np.float64).reshape(-1)
            if len(numbers) not in (0, len(names)):
                raise ObservationError(
                    f"a JointState must have one {source} for each name, or none",
                    received=(len(names), len(numbers)),
                )
            pairs = zip(names, numbers.tolist(), strict=False)
            found |= {f"{source}/{name}": number for name, number in pairs if name in self._joints}
        wanted = {name: found[name] for name in found if name in self._needed}
        if not all(abs(number) <= _LARGEST for number in wanted.values()):  # nor NaN
            raise ObservationError(
                f"every number of a joint must be finite, at most {_LARGEST:g}", received=wanted
            )
        for name in self._rates:
            if name.replace("velocity", "position", 1) in found:
                self._values.pop(name, None)  # said before, of a motion that may be over
        self._values |= wanted | {
            name: found[name] for name in self._rates if abs(found.get(name, np.nan)) <= _LARGEST
        }
        self._stamps |= dict.fromkeys(wanted, (stamp_s, received_s))
        if any(name not in self._stamps for name in self._needed):
            return None
        self._remember()
        times = [self._stamps[name] for name in self._needed]
        stamps, receipts = zip(*times, strict=True) if times else ([stamp_s], [received_s])
        return min(stamps), min(receipts)

    def tool(self, position: Any, stamp_s: float) -> None:
        """Takes the tool's measured position (3,), world frame, metres.

        Raises:
            ObservationError: it is not three finite numbers.
        """
        numbers = np.asarray(position, np.float64).reshape(-1)
        if numbers.shape != (3,) or not (np.abs(numbers) <= _LARGEST).all():
            raise ObservationError(
                f"the tool's position must be three finite numbers, at most {_LARGEST:g}",
                received=numbers.tolist()[:6],
            )
        said = {f"tool/{axis}": float(n) for axis, n in zip(TOOL_AXES, numbers, strict=True)}
        self._values |= said
        self._stamps |= dict.fromkeys(said, (stamp_s, stamp_s))
        self._tools.append((stamp_s, numbers))
        self._remember()

    def measured(self) -> tuple[Vector, Vector] | None:
        """Position and velocity (D,) of the commanded axes; None while they are not known.

        A velocity that does not come with a joint's position is 0, and the tool's is that between
        its last two positions.
        """
        if not self._is_tool:
            names = [f"position/{name}" for name in self._axes]
            if any(name not in self._values for name in names):
                return None
            rates = [self._values.get(f"velocity/{name}", 0.0) for name in self._axes]
            return np.array([self._values[name] for name in names]), np.array(rates)
        if not self._tools:
            return None
        (before_s, before), (last_s, last) = self._tools[0], self._tools[-1]
        span_s = last_s - before_s
        return last, (last - before) / span_s if span_s > 0 else np.zeros(3)

    def state(self, stamp_s: float) -> NDArray[np.float32] | None:
        """The state (S,) nearest in time to a stamp; None while one is not known."""
        if not self._states:
            return None
        newest_first = reversed(self._states)  # of one stamp, the last has the newer numbers
        nearest = min(newest_first, key=lambda entry: abs(entry[0] - stamp_s))
        return nearest[1].astype(np.float32)

    def _remember(self) -> None:
        if all(name in self._stamps for name in self._elements):
            oldest_s = min(self._stamps[name][0] for name in self._elements)
            self._states.append((oldest_s, np.array([self._values[n] for n in self._elements])))
