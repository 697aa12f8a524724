"""Adroit hand (gymnasium-robotics): door, hammer, pen and relocate at half the simulator's rate.

An action is applied for two of gymnasium-robotics' steps, as DP3 does (Ze et al., 2024). Success is
DP3's rule; gymnasium-robotics' own flag is reported beside it. Rewards are not gymnasium-robotics':
the dense ones of version 1.4.2 reward the distance from palm to object.
"""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled names have no stubs)
from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.adroit_ranges import PLACES, spread
from envs.experts.network import NetworkExpert, expert_file
from envs.simulation import Outcome
from mfpolicy.errors import ConfigError

ACTION_REPEAT = 2
_DROPPED_BELOW_M = 0.075


class _Task(NamedTuple):
    """What sets one task apart.

    Attributes:
        hand: the 24 joints of wrist and fingers within qpos.
        goal: DP3's rule, from gymnasium-robotics' environment right after its step.
        held_steps: steps of gymnasium-robotics that its flag must be up for to count as held, by
            the rule of Rajeswaran et al. (2018): more than these.
        may_drop: whether the episode ends when the object falls.
        placed: what a stored state tells of bodies and sites without joints, and its size.
    """

    hand: slice
    goal: Callable[[Any], bool]
    held_steps: int = 25
    may_drop: bool = False
    placed: Mapping[str, int] = {}


def _door_is_open(env: Any) -> bool:
    return bool(env.data.qpos[env.door_hinge_addrs] > 1.4)


def _nail_is_in(env: Any) -> bool:
    sites = env.data.site_xpos
    return bool(np.linalg.norm(sites[env.target_obj_site_id] - sites[env.goal_site_id]) < 0.01)


def _pen_is_aligned(env: Any) -> bool:
    sites = env.data.site_xpos
    pen = (sites[env.obj_t_site_id] - sites[env.obj_b_site_id]) / env.pen_length
    target = (sites[env.tar_t_site_id] - sites[env.tar_b_site_id]) / env.tar_length
    return bool(np.dot(pen, target) > 0.95)


def _ball_is_at_target(env: Any) -> bool:
    ball, target = env.data.xpos[env.obj_body_id], env.data.site_xpos[env.target_obj_site_id]
    return bool(np.linalg.norm(ball - target) < 0.1)


_TASKS = {
    "door": _Task(slice(4, -2), _door_is_open, placed={"door_body_pos": 3}),
    "hammer": _Task(slice(2, -7), _nail_is_in, placed={"board_pos": 3}),
    "pen": _Task(
        slice(0, -6), _pen_is_aligned, held_steps=20, may_drop=True, placed={"desired_orien": 4}
    ),
    "relocate": _Task(slice(6, -6), _ball_is_at_target, placed={"obj_pos": 3, "target_pos": 3}),
}


class AdroitSimulation:
    """One Adroit task, placed by seed.

    The reward is 1 while the goal holds by DP3's rule and 0 otherwise. The flags of an `Outcome`
    are ``gymnasium`` (gymnasium-robotics' success in either step of the last two) and
    ``gymnasium_held`` (it was up for more than 25 of gymnasium-robotics' steps of this episode
    altogether, 20 in pen).

    Args:
        task: name without suite, for example ``door``.

    Example:
        >>> simulation = AdroitSimulation("door")
        >>> simulation.agent_pos().shape, simulation.full_state().shape
        ((24,), (39,))
        >>> simulation.close()
    """

    def __init__(self, task: str) -> None:
        import mujoco

        self._mujoco = mujoco
        self._name, self._task = task, _TASKS[task]
        self._env = gymnasium_environment(task)
        self._factor = 1.0
        self.model, self.data = self._env.model, self._env.data
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Draws the placement of ``seed``; the hand starts where it always does."""
        self._full_state, _ = self._env.reset(seed=seed)
        self._flag_steps = 0
        if self._factor != 1:
            self._full_state = spread(self._env, self._name, self._factor)

    def widen(self, factor: float) -> None:
        """Widens what a seed decides, as `envs.adroit_ranges` has it for each task."""
        self._factor = factor

    def restore(self, state: Mapping[str, NDArray[np.float64]]) -> None:
        """Starts an episode in a state as DAPG's recordings have it.

        Args:
            state: ``qpos``, ``qvel``, and where the task's goal or object is: ``door_body_pos``;
                ``board_pos`` (hammer); ``desired_orien`` (pen); ``obj_pos`` and ``target_pos``
                (relocate). More is not looked at.

        Raises:
            ConfigError: an array is missing, of another shape, or not finite.
        """
        sizes = {"qpos": self.model.nq, "qvel": self.model.nv, **self._task.placed}
        values = {name: np.asarray(state.get(name, np.nan), np.float64) for name in sizes}
        for name, size in sizes.items():
            if values[name].shape != (size,) or not np.isfinite(values[name]).all():
                raise ConfigError(
                    f"a state of adroit/{self._name} must have {size} finite numbers {name}",
                    received=values[name].shape if name in state else sorted(state),
                    remedy="choose the task that was recorded",
                )
        self.reset(0)
        for name in self._task.placed:
            owner, attribute = PLACES[name]
            getattr(self.model, attribute)[getattr(self._env, owner)] = values[name]
        self._env.set_state(values["qpos"], values["qvel"])
        self._full_state = self._env._get_obs()

    def step(self, action: NDArray[np.float32]) -> Outcome:
        """One control step: 20 ms of simulated time, less if the object falls in its first half."""
        goal = flag = dropped = False
        for _ in range(ACTION_REPEAT):
            self._full_state, _, _, _, info = self._env.step(action)
            goal = self._task.goal(self._env)
            flag |= bool(info["success"])
            self._flag_steps += bool(info["success"])
            dropped = self._task.may_drop and bool(self._object_height_m() < _DROPPED_BELOW_M)
            if dropped:
                break
        self._place_bodies()
        held = self._flag_steps > self._task.held_steps
        flags = {"gymnasium": flag, "gymnasium_held": held}
        return Outcome(float(goal), goal, terminated=dropped, flags=flags)

    def agent_pos(self) -> NDArray[np.float32]:
        """(24,) joint angles of wrist and fingers, rad."""
        return self.data.qpos[self._task.hand].astype(np.float32)

    def full_state(self) -> NDArray[np.float64]:
        """(F,) gymnasium-robotics' observation; F is 39, 46, 45 and 39."""
        return self._full_state.copy()

    def expert_action(self) -> NDArray[np.float32]:
        """(A,) the trained expert's action.

        Raises:
            BackendError: the installation lacks the expert's file, or it is damaged.
        """
        return self._expert.action(self._full_state)

    def show_goal(self) -> None:
        """The goal is a body or site of the scene, where it belongs since the reset."""

    def close(self) -> None:
        """Frees gymnasium-robotics' own viewer."""
        self._env.close()

    @cached_property
    def _expert(self) -> NetworkExpert:
        return NetworkExpert.load(expert_file("adroit", self._name))

    def _object_height_m(self) -> float:
        return self.data.xpos[self._env.obj_body_id, 2]

    def _place_bodies(self) -> None:
        """Moves bodies to where the joints are, for pictures.

        MuJoCo leaves them 2 ms behind, and so gymnasium-robotics observes them. Kinematics alone
        changes nothing that the next step starts from; `mj_forward` would change its warm start.
        """
        self._mujoco.mj_kinematics(self.model, self.data)
        self._mujoco.mj_camlight(self.model, self.data)
        self._mujoco.mj_comPos(self.model, self.data)
        self._mujoco.mj_tendon(self.model, self.data)


def open_simulation(task: str) -> AdroitSimulation:
    """The simulation of ``task``; what every suite module offers under this name."""
    return AdroitSimulation(task)


def gymnasium_environment(task: str) -> Any:
    """gymnasium-robotics' own environment of ``task``, without Gymnasium's wrappers."""
    # Its first import tells on stderr that its rewards changed; they are not used here.
    with contextlib.redirect_stderr(io.StringIO()):
        module = importlib.import_module(f"gymnasium_robotics.envs.adroit_hand.adroit_{task}")
    return getattr(module, f"AdroitHand{task.capitalize()}Env")()
