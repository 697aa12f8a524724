"""Meta-World 3.1 (Sawyer arm, 50 tasks): one class for all of them.

The state is DP3's: end effector, right and left finger (Ze et al., 2024). Tasks are the v3
versions; DP3 and its successors used v2, so published numbers are comparable in kind only.
"""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled names have no stubs)
from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.experts.scripted import ScriptedExpert
from envs.simulation import Outcome
from mfpolicy.errors import ConfigError

_FAR_M = 5.0


class MetaWorldSimulation:
    """One Meta-World task with the goal observable, placed by seed.

    Args:
        task: name without suite and version, for example ``drawer-open``.
    """

    def __init__(self, task: str) -> None:
        import mujoco
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE

        self._mujoco = mujoco
        # A seed makes the constructor save and restore numpy's global generator, which it uses.
        make_env: Any = ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE[f"{task}-v3-goal-observable"]
        self._env = make_env(seed=0)
        # All 50 tasks place objects with the global generator unless told otherwise.
        self._env.seeded_rand_vec = True
        # Meta-World raises at 500 steps; the length of an episode is not decided here.
        self._env.max_path_length = sys.maxsize
        self._task, self._own_ranges = task, self._env._random_reset_space
        self._expert = ScriptedExpert(task)
        self.model, self.data = self._env.model, self._env.data
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Draws the placement of ``seed`` and starts the episode with it.

        Meta-World places objects twice a reset, and moves the hand home while the objects are
        still where the last episode left them. So the placement is drawn first and then held
        for a whole reset, as Meta-World's own benchmarks do: the state depends on ``seed`` alone.
        """
        env = self._env
        env.seed(seed)
        self._mujoco.mj_resetData(self.model, self.data)
        env._freeze_rand_vec = False
        env.reset_model()
        env._freeze_rand_vec = True
        observation, _ = env.reset()
        self._mujoco.mj_forward(self.model, self.data)
        # Meta-World observed before the objects took their place (window-close: 0.2 m off).
        env._prev_obs = env._get_curr_obs_combined_no_goal()
        self._full_state = np.concatenate([env._prev_obs, env._prev_obs, observation[36:]])

    def widen(self, factor: float) -> None:
        """Widens the box that placements are drawn from, x and y of every position in it.

        Heights stay, else objects would begin within the table. What Meta-World observes of a goal
        is clipped to the goal's own range, so that the scripted expert may err beyond it.

        Raises:
            ConfigError: the task draws no positions.
        """
        own = self._own_ranges
        low, high = own.low, own.high  # (3n,): x, y and z of n positions
        level = np.arange(low.size) % 3 < 2
        if low.size % 3 or not (high > low)[level].any():
            raise ConfigError(
                "a task must draw the places of objects or goals for their range to be widened",
                received=f"metaworld/{self._task}",
            )
        added = np.where(level, (factor - 1) * (high - low) / 2, 0)
        self._env._random_reset_space = type(own)(low - added, high + added, dtype=own.dtype)

    def step(self, action: NDArray[np.float32]) -> Outcome:
        """One control step: 12.5 ms of simulated time."""
        self._full_state, reward, _, _, info = self._env.step(action)
        return Outcome(float(reward), bool(info["success"]))

    def agent_pos(self) -> NDArray[np.float32]:
        """(9,) positions of end effector, right finger and left finger, world frame, metres."""
        return np.concatenate(
            [
                self.data.body("hand").xpos,
                self.data.site("rightEndEffector").xpos,
                self.data.site("leftEndEffector").xpos,
            ]
        ).astype(np.float32)

    def full_state(self) -> NDArray[np.float64]:
        """(39,) Meta-World's observation: this frame (18), the last one (18), the goal (3)."""
        return self._full_state.copy()

    def expert_action(self) -> NDArray[np.float32]:
        """(4,) hand displacement and gripper effort of the scripted expert."""
        return self._expert.action(self._full_state)

    def show_goal(self) -> None:
        """Puts the goal marker at the goal.

        Meta-World v3 leaves some markers at their default place and shows that of
        pick-out-of-hole under the object; a policy could not know where to go.
        """
        for name, position in self._env._target_site_config:
            put_away = np.abs(position).max() > _FAR_M  # the other goal of a two-way task
            self.data.site(name).xpos = position if put_away else self._env._target_pos

    @property
    def reference_box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Corners (3,) of the box that the hand's reference is kept in, world frame, metres."""
        low, high = self._env.mocap_low, self._env.mocap_high
        return np.asarray(low, np.float64), np.asarray(high, np.float64)

    def close(self) -> None:
        """Frees Meta-World's own viewer."""
        self._env.close()


def open_simulation(task: str) -> MetaWorldSimulation:
    """The simulation of ``task``; what every suite module offers under this name."""
    return MetaWorldSimulation(task)
