"""What the experts of Adroit are trained for: one dense reward and one goal per task.

Shaped after the rewards of the DAPG paper (Rajeswaran et al., 2018, appendix): reach, move,
bonuses near the goal. Rewritten because gymnasium-robotics 1.4.2 has the wrong sign on reaching
and because its bonuses of up to 100 leave a planner blind to everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Signals = Mapping[str, NDArray[Any]]
"""Named positions (…, 3), metres, world frame, and ``qpos`` (…, Q), ``qvel`` (…, V)."""


@dataclass(frozen=True)
class TaskReward:
    """What is measured and wanted in a task.

    Attributes:
        measured: MuJoCo object kind and name of each position among the signals.
        reward: the reward (…,) of signals. goal: whether (…,) DP3's goal holds in them.
        horizon: control steps of an episode.
    """

    measured: Mapping[str, tuple[str, str]]
    reward: Callable[[Signals], NDArray[Any]]
    goal: Callable[[Signals], NDArray[Any]]
    horizon: int


_TIPS = {f"{finger}_tip": ("SITE", f"S_{finger}tip") for finger in ("ff", "mf", "rf", "lf", "th")}


def _distance(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    return np.linalg.norm(a - b, axis=-1)


def _tips_distance(s: Signals, most: float = np.inf) -> NDArray[Any]:
    """Sum of the distances of the five fingertips to the object, each at most ``most``."""
    return np.sum([np.minimum(_distance(s[tip], s["object"]), most) for tip in _TIPS], axis=0)


def _door(s: Signals) -> NDArray[Any]:
    hinge, latch = s["qpos"][..., -2], s["qpos"][..., -1]
    return (
        -_distance(s["palm"], s["handle"])
        + 0.5 * np.clip(latch / 1.8, 0, 1)
        + 2.0 * hinge / 1.57
        + 0.5 * (hinge > 0.2)
        + 1.0 * (hinge > 1.0)
        + 2.0 * (hinge > 1.4)
        - 1e-4 * np.square(s["qvel"][..., :-2]).sum(-1)
    )


def _door_goal(s: Signals) -> NDArray[Any]:
    return s["qpos"][..., -2] > 1.4


def _hammer(s: Signals) -> NDArray[Any]:
    depth = _distance(s["nail"], s["nail_goal"])
    height = np.minimum(s["object"][..., 2], s["head"][..., 2])
    lifted = height > 0.04
    return (
        -_distance(s["palm"], s["object"])
        - 0.2 * _tips_distance(s)
        - _distance(s["head"], s["nail"])
        - 10.0 * depth
        + 1.0 * lifted
        + 0.5 * np.clip((height - 0.03) / 0.05, 0, 1)
        + 2.0 * (depth < 0.02)
        + 5.0 * (depth < 0.01)
        - 1e-4 * np.square(s["qvel"][..., :-6]).sum(-1)
    )


def _hammer_goal(s: Signals) -> NDArray[Any]:
    return _distance(s["nail"], s["nail_goal"]) < 0.01


def _alignment(s: Signals) -> NDArray[Any]:
    """Cosine between the pen and the pen that shows how it shall lie."""
    pen, wanted = s["top"] - s["bottom"], s["target_top"] - s["target_bottom"]
    length = np.linalg.norm(pen, axis=-1) * np.linalg.norm(wanted, axis=-1)
    return (pen * wanted).sum(-1) / np.maximum(length, 1e-9)


def _pen(s: Signals) -> NDArray[Any]:
    distance, aligned = _distance(s["object"], s["place"]), _alignment(s)
    near = distance < 0.075
    return (
        aligned
        - distance
        + 1.0 * (near & (aligned > 0.9))
        + 3.0 * (near & (aligned > 0.95))
        - 3.0 * (s["object"][..., 2] < 0.075)
    )


def _pen_goal(s: Signals) -> NDArray[Any]:
    return (_alignment(s) > 0.95) & (s["object"][..., 2] >= 0.075)


def _relocate(s: Signals) -> NDArray[Any]:
    height, distance = s["object"][..., 2], _distance(s["object"], s["target"])
    reach = _distance(s["palm"], s["object"])
    held = (height > 0.04) & (reach < 0.1)  # a ball that was thrown is not held
    # A ball that rolled away costs no more than one that was never touched; else the policy learns
    # to leave it alone.
    return (
        -np.minimum(reach, 0.5)
        - 0.6 * _tips_distance(s, most=0.2)
        + held * (3.0 - distance - 0.5 * _distance(s["palm"], s["target"]))
        + 0.5 * (reach < 0.1) * np.clip((height - 0.035) / 0.05, 0, 1)
        + 3.0 * (held & (distance < 0.1))
        + 3.0 * (held & (distance < 0.05))
        - 1e-4 * np.square(s["qvel"][..., :-6]).sum(-1)
    )


def _relocate_goal(s: Signals) -> NDArray[Any]:
    return _distance(s["object"], s["target"]) < 0.1


_PALM = ("SITE", "S_grasp")
_OBJECT = ("XBODY", "Object")

REWARDS: Mapping[str, TaskReward] = {
    "door": TaskReward({"palm": _PALM, "handle": ("SITE", "S_handle")}, _door, _door_goal, 100),
    "hammer": TaskReward(
        {
            "palm": _PALM,
            "object": _OBJECT,
            "head": ("SITE", "tool"),
            "nail": ("SITE", "S_target"),
            "nail_goal": ("SITE", "nail_goal"),
            **_TIPS,
        },
        _hammer,
        _hammer_goal,
        100,
    ),
    "pen": TaskReward(
        {
            "object": _OBJECT,
            "place": ("SITE", "eps_ball"),
            "top": ("SITE", "object_top"),
            "bottom": ("SITE", "object_bottom"),
            "target_top": ("SITE", "target_top"),
            "target_bottom": ("SITE", "target_bottom"),
        },
        _pen,
        _pen_goal,
        50,
    ),
    "relocate": TaskReward(
        {"palm": _PALM, "object": _OBJECT, "target": ("SITE", "target"), **_TIPS},
        _relocate,
        _relocate_goal,
        100,
    ),
}
