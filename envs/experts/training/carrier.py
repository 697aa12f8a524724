"""A controller of a few numbers that takes a ball and carries it to a place, for relocate.

It has no memory: whether the hand approaches, closes or carries follows from the observation alone,
by smooth steps, so that a small network can learn it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOVED, FIXED, FINGERS = [0, 2, 3], [1, 4, 5, 6, 7], slice(8, 30)  # of the joints
_FOREARM = 0.5  # m, from the tilting joint of the arm to the palm
_SERVO = 2.5  # an arm joint comes to rest at this times its command: gain 500, bias 200
_FLEXED = [9, 10, 11, 13, 14, 15, 17, 18, 19, 22, 23, 24]  # the joints that close fingers


@dataclass(frozen=True)
class Numbers:
    """What `search` looks for; the values are where it begins.

    Attributes:
        fixed: (5,) actions of what stays where it is: the arm's vertical slide, its two other
            turns, the wrist.
        opened, closed: (22,) actions of fingers and thumb.
        grip: (3,) m, of the palm from the ball when it closes.
        above: m, of the palm over the grip until it is over the ball.
        reach, sharpness: m, distance of the palm from its grip at which the hand is half closed,
            and how far from there it is opened or closed.
        firm: mean angle of the finger joints, rad, at which the ball is carried.
        speed: m, of the palm's set point before the palm, at most.
        gain: of the set point's way before the palm over the way that is left.
    """

    fixed: NDArray[np.float64]
    opened: NDArray[np.float64]
    closed: NDArray[np.float64]
    grip: NDArray[np.float64]
    above: float = 0.1
    reach: float = 0.04
    sharpness: float = 0.008
    firm: float = 0.55
    speed: float = 0.12
    gain: float = 2.0

    @classmethod
    def first(cls) -> Numbers:
        """An open hand that bends its fingers half."""
        opened = np.zeros(22)
        opened[[joint - 8 for joint in _FLEXED]] = -0.6
        return cls(
            np.array([-1.0, 0.0, 0.0, 0.0, 0.0]),
            opened,
            np.full(22, 0.1),
            np.array([0.0, -0.01, 0.0]),
        )

    def vector(self) -> NDArray[np.float64]:
        """All numbers as (58,), in units of how far a search may begin to look."""
        single = np.array([getattr(self, name) for name in _SINGLE])
        parts = (self.fixed, self.opened, self.closed, self.grip / _GRIP, single / _UNITS)
        return np.concatenate(parts)

    @classmethod
    def of(cls, vector: NDArray[np.float64]) -> Numbers:
        """The numbers of `vector`, with each within its bounds."""
        parts = np.split(vector, [5, 27, 49, 52])
        single = np.maximum(parts[4] * _UNITS, [0.0, 0.01, 0.002, 0.1, 0.005, 0.2])
        fixed, opened, closed = (np.clip(part, -1, 1) for part in parts[:3])
        named = dict(zip(_SINGLE, single.tolist(), strict=True))
        return cls(fixed, opened, closed, parts[3] * _GRIP, **named)


_GRIP = 0.03
_SINGLE = ("above", "reach", "sharpness", "firm", "speed", "gain")
_UNITS = np.array([0.1, 0.1, 0.03, 1.0, 0.1, 2.0])


class Carrier:
    """The controller.

    Args:
        numbers: how.
        center, scale: (30,) of the actuators: a command is ``center + action * scale``.
    """

    def __init__(
        self, numbers: Numbers, center: NDArray[np.float64], scale: NDArray[np.float64]
    ) -> None:
        self._n, self._center, self._scale = numbers, center, scale

    def output(self, observation: NDArray[np.float64]) -> NDArray[np.float64]:
        """(30,) the action of gymnasium-robotics' observation (39,), clipped to [-1, 1]."""
        n = self._n
        joints = observation[:30]
        off = observation[30:33] - n.grip  # of the palm from its grip
        ball_to_target = -observation[36:39]
        closing = _step((n.reach - np.linalg.norm(off)) / n.sharpness)
        firm = _step((joints[_FLEXED].mean() - n.firm) / 0.05) * closing
        aside = np.linalg.norm(off[:2])
        hover = np.array([0.0, 0.0, n.above * _step((aside - n.reach) / n.sharpness)])
        way = n.gain * ((1 - firm) * (hover - off) + firm * ball_to_target)
        way = way * min(1.0, n.speed / max(float(np.linalg.norm(way)), 1e-9))
        action = np.empty(30)
        wanted = joints[MOVED] + [-way[0], way[1], -way[2] / _FOREARM]
        action[MOVED] = (wanted / _SERVO - self._center[MOVED]) / self._scale[MOVED]
        action[FIXED] = n.fixed
        action[FINGERS] = n.opened + closing * (n.closed - n.opened)
        return np.clip(action, -1, 1)


def _step(x: float | np.floating) -> float:
    return float(0.5 * (1 + np.tanh(x)))
