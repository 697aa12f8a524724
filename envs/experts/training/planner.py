"""Model predictive path integral control (Williams et al., 2017) with MuJoCo's own rollouts."""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled names have no stubs)
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.experts.training.scene import PHYSICS_STEPS, Scene


@dataclass(frozen=True)
class PlannerSettings:
    """How a plan is sought.

    Attributes:
        samples: candidate plans of a replanning. lookahead: control steps of a plan.
        knots: points of a plan, joined by straight lines. noise: their standard deviation.
        execute: control steps between two replannings.
        temperature: of the weights, in standard deviations of the returns.
        effort: weight of the squared change of the action from step to step.
    """

    samples: int = 48
    lookahead: int = 20
    knots: int = 6
    noise: float = 0.3
    execute: int = 2
    temperature: float = 0.1
    effort: float = 0.02


class Planner:
    """Plans the episodes of a scene by sampling.

    Args:
        scene: the task; its state is where a plan starts.
        settings: how.
    """

    def __init__(self, scene: Scene, settings: PlannerSettings) -> None:
        import mujoco
        from mujoco.rollout import Rollout

        self._mujoco = mujoco
        self._scene, self._settings = scene, settings
        self._rollout: Any = Rollout(nthread=0)
        self._scratch = mujoco.MjData(scene.model)
        every = np.linspace(0, settings.knots - 1, settings.lookahead)
        hats = 1 - np.abs(every[:, None] - np.arange(settings.knots))
        self._from_knots = np.maximum(hats, 0)  # (H, K)

    def episode(self, seed: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
        """Plans and executes one episode.

        Returns:
            Observations (T, O), actions (T, A), and whether the goal held after each step (T,).
        """
        scene, settings = self._scene, self._settings
        scene.reset(seed)
        rng = np.random.default_rng(seed)
        knots = np.zeros((settings.knots, scene.action_dim))
        observations, actions, goals = [], [], []
        for step in range(scene.horizon):
            if step % settings.execute == 0:
                last = actions[-1] if actions else np.zeros(scene.action_dim)
                knots = self._replan(knots, last, rng)
                plan = self._from_knots @ knots
            action = plan[step % settings.execute]
            observations.append(scene.observe())
            actions.append(action)
            scene.step(action)
            goals.append(bool(scene.reward.goal(scene.signals())))
        return np.array(observations), np.array(actions), np.array(goals)

    def _replan(
        self, knots: NDArray[Any], last: NDArray[Any], rng: np.random.Generator
    ) -> NDArray[Any]:
        """The plan (K, A) that follows ``knots``, the last one."""
        settings = self._settings
        shift = settings.execute * (settings.knots - 1) / (settings.lookahead - 1)
        moved = np.minimum(np.arange(settings.knots) + shift, settings.knots - 1)
        grid = np.arange(settings.knots)
        knots = np.stack([np.interp(moved, grid, column) for column in knots.T], axis=1)
        noise = rng.normal(0, settings.noise, (settings.samples, *knots.shape))
        noise *= rng.choice([0.3, 1.0], size=(settings.samples, 1, 1))  # fine and coarse changes
        noise[0] = 0.0
        candidates = np.clip(knots + noise, -1, 1)
        returns = self._returns(self._from_knots @ candidates, last)
        advantage = (returns - returns.max()) / (returns.std() + 1e-6)
        weights = np.exp(advantage / settings.temperature)
        return np.tensordot(weights / weights.sum(), candidates, axes=1)

    def _returns(self, plans: NDArray[Any], last: NDArray[Any]) -> NDArray[Any]:
        """(N,) mean reward of executing plans (N, H, A) from the present state."""
        scene, data = self._scene, self._scene.data
        kind = self._mujoco.mjtState.mjSTATE_FULLPHYSICS
        start = np.empty(self._mujoco.mj_stateSize(scene.model, kind))
        self._mujoco.mj_getState(scene.model, data, start, kind)
        states, sensors = self._rollout.rollout(
            scene.model,
            self._scratch,
            start,
            np.repeat(scene.control(plans), PHYSICS_STEPS, axis=1),
            initial_warmstart=data.qacc_warmstart,
        )
        last_of_step = slice(PHYSICS_STEPS - 1, None, PHYSICS_STEPS)
        states, sensors = states[:, last_of_step], sensors[:, last_of_step]
        q, v = scene.model.nq, scene.model.nv
        signals = scene.signals_of(states[..., 1 : 1 + q], states[..., 1 + q : 1 + q + v], sensors)
        rewards = scene.reward.reward(signals)
        before = np.concatenate([np.broadcast_to(last, plans[:, :1].shape), plans[:, :-1]], axis=1)
        change = np.square(plans - before).sum(-1)
        return rewards.mean(1) - self._settings.effort * change.mean(1)
