"""Adroit's placements, moved away from the middles of the ranges that they are drawn from."""

# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLACES = {
    "door_body_pos": ("door_body_id", "body_pos"),
    "board_pos": ("target_body_id", "body_pos"),
    "desired_orien": ("target_obj_body_id", "body_quat"),
    "obj_pos": ("obj_body_id", "body_pos"),
    "target_pos": ("target_obj_site_id", "site_pos"),
}
"""Where the parts of a stored state go: gymnasium-robotics' name of the id, MuJoCo's array."""

_STAYS = np.nan
_MIDDLES: dict[str, dict[str, tuple[float, float, float]]] = {
    "door": {"door_body_pos": (-0.25, 0.3, _STAYS)},
    "hammer": {"board_pos": (_STAYS, _STAYS, 0.175)},
    "pen": {"desired_orien": (0.0, 0.0, _STAYS)},
    "relocate": {"obj_pos": (0.0, 0.075, _STAYS), "target_pos": (0.0, 0.0, 0.25)},
}
"""Middles of the ranges in gymnasium-robotics' ``reset_model``: metres, the pen's Euler angles in
rad. What is not drawn stays, and the height of what stands on the table."""


def spread(env: Any, task: str, factor: float) -> NDArray[np.float64]:
    """Moves what a reset has drawn away from the middle of its range.

    Args:
        env: gymnasium-robotics' environment, right after its reset.
        task: its name without the suite.
        factor: of the distance to the middle.

    Returns:
        (F,) the observation of the new state.
    """
    for name, middle in _MIDDLES[task].items():
        owner, attribute = PLACES[name]
        array, index = getattr(env.model, attribute), getattr(env, owner)
        if attribute == "body_quat":
            turns = importlib.import_module("gymnasium_robotics.utils.rotations")
            array[index] = turns.euler2quat(_moved(turns.quat2euler(array[index]), middle, factor))
        else:
            array[index] = _moved(array[index], middle, factor)
    env.set_state(env.init_qpos, env.init_qvel)
    return env._get_obs()


def _moved(
    drawn: NDArray[np.float64], middle: tuple[float, float, float], factor: float
) -> NDArray[np.float64]:
    return np.where(np.isnan(middle), drawn, middle + factor * (drawn - middle))
