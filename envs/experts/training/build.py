"""From nothing to an expert's file: plan, imitate, improve, choose. Resumable at every step."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from envs.experts.network import NetworkExpert
from envs.experts.training.comparing import Choice, goal_at_end, mean_reward, write_arrays
from envs.experts.training.episodes import Episode, ValueFunction, run
from envs.experts.training.natural_gradient import Weighted, natural_step
from envs.experts.training.planner import Planner
from envs.experts.training.policy import GaussianPolicy, imitate
from envs.experts.training.recipes import Recipe
from envs.experts.training.scene import Scene

PLAN_SEED, TRAIN_SEED = 3_000_000, 4_000_000


def build(
    task: str,
    recipe: Recipe,
    folder: Path,
    *,
    cpu_hours: float,
    report: Callable[[str], None],
) -> Path:
    """Builds the expert of ``task`` in ``folder`` and returns its file, ``TASK.npz``.

    A call that was stopped goes on from its last plan or iteration.

    Args:
        task: ``door``, ``hammer``, ``pen`` or ``relocate``.
        recipe: how.
        folder: of intermediate results.
        cpu_hours: of this build in all; improving ends when they are used up.
        report: is given one line per plan and iteration.
    """
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    scene = Scene(task)
    plans, cpu_s = _plans(scene, recipe, folder, report)
    trainer = _Trainer(scene, recipe, plans, folder, cpu_s)
    trainer.load()
    limit_s = cpu_hours * 3600
    while trainer.iteration < recipe.iterations and trainer.cpu_s < limit_s:
        report(trainer.improve())
        if trainer.iteration % recipe.choose_every == 0:
            report(trainer.compare())
        trainer.save()
    return trainer.write(folder / f"{task}.npz", task)


def _plans(
    scene: Scene, recipe: Recipe, folder: Path, report: Callable[[str], None]
) -> tuple[list[dict[str, NDArray[Any]]], float]:
    """As many successful plans as the recipe asks for, and the CPU seconds of all that were tried.

    Each plan is a file of ``folder``.
    """
    planner = Planner(scene, recipe.planner)
    kept: list[dict[str, NDArray[Any]]] = []
    seed, spent_s = PLAN_SEED, 0.0
    while len(kept) < recipe.demonstrations:
        path = folder / f"plan_{seed}.npz"
        if not path.exists():
            started = time.process_time()
            observations, actions, goals = planner.episode(seed)
            cpu_s = time.process_time() - started
            write_arrays(
                path, observations=observations, actions=actions, goals=goals, cpu_s=np.array(cpu_s)
            )
        with np.load(path, allow_pickle=False) as file:
            plan = dict(file)
        report(f"plan {seed}: goal in {plan['goals'].sum()} steps, {plan['cpu_s']:.0f} s")
        spent_s += float(plan["cpu_s"])
        if plan["goals"][-1]:
            kept.append(plan)
        seed += 1
    return kept, spent_s


class _Trainer:
    """The policy, its value function, and the best iterate so far."""

    def __init__(
        self,
        scene: Scene,
        recipe: Recipe,
        plans: list[dict[str, NDArray[Any]]],
        folder: Path,
        cpu_s: float,
    ) -> None:
        self._scene, self._recipe = scene, recipe
        self._path = folder / "training.pt"
        self.iteration, self.cpu_s = 0, cpu_s
        self._clock = time.process_time()
        observations = np.concatenate([plan["observations"] for plan in plans])
        actions = np.concatenate([plan["actions"] for plan in plans])
        mean, scale = observations.mean(0), np.maximum(observations.std(0), 0.03)
        torch.manual_seed(0)
        self._policy = GaussianPolicy(
            mean, scale, scene.action_dim, std=recipe.std, least_std=recipe.least_std
        )
        self._value = ValueFunction(mean, scale, scene.horizon)
        self._guide = (
            torch.as_tensor(observations, dtype=torch.float32),
            torch.as_tensor(actions, dtype=torch.float32),
        )
        self._choice = Choice(scene, recipe.choose_episodes, self._policy.arrays())
        imitate(self._policy, *self._guide, epochs=recipe.imitate, seed=0)

    def improve(self) -> str:
        """One iteration: episodes, advantages, a natural gradient step."""
        recipe, std = self._recipe, self._policy.std
        expert = NetworkExpert(self._policy.arrays())
        first = TRAIN_SEED + self.iteration * recipe.episodes
        seeds = range(first, first + recipe.episodes)
        episodes = [run(self._scene, expert, seed, std, noise_seed=seed) for seed in seeds]
        kl = natural_step(self._policy, self._pairs(episodes), recipe.step)
        self.iteration += 1
        self._count()
        return (
            f"iteration {self.iteration}: goal at the end {goal_at_end(episodes):.2f}, "
            f"reward {mean_reward(episodes):.3f}, std {std.mean():.3f}, kl {kl:.3f}, "
            f"{self.cpu_s / 60:.1f} min"
        )

    def compare(self) -> str:
        """The mean action on fixed seeds; the best iterate is kept."""
        line = self._choice.compare(self._policy.arrays(), self.iteration)
        self._count()
        return line

    def save(self) -> None:
        """Writes everything a later call goes on from, at once or not at all."""
        state = {
            "iteration": self.iteration,
            "cpu_s": self.cpu_s,
            "policy": self._policy.state_dict(),
            "value": self._value.network.state_dict(),
            "optimizer": self._value.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "best": {
                **self._choice.best,
                "arrays": {k: torch.as_tensor(v) for k, v in self._choice.best["arrays"].items()},
            },
        }
        part = self._path.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, self._path)

    def load(self) -> None:
        """Goes on from `save`, if there was one."""
        if not self._path.exists():
            return
        state = torch.load(self._path, weights_only=True)
        self.iteration, self.cpu_s = state["iteration"], state["cpu_s"]
        self._policy.load_state_dict(state["policy"])
        self._value.network.load_state_dict(state["value"])
        self._value.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        arrays = {name: array.numpy() for name, array in state["best"]["arrays"].items()}
        self._choice.best = {**state["best"], "arrays": arrays}
        self._clock = time.process_time()

    def write(self, path: Path, task: str) -> Path:
        """Writes the best iterate as an expert's file."""
        return self._choice.write(path, task, self.cpu_s)

    def _pairs(self, episodes: list[Episode]) -> Weighted:
        """The batch, and the demonstrations at the weight of the batch's best advantage."""
        advantages = self._value.advantages(episodes)
        weight = self._recipe.guide * self._recipe.guide_decay**self.iteration
        observations = np.concatenate([episode.observations for episode in episodes])
        actions = np.concatenate([episode.actions for episode in episodes])
        parts = [torch.as_tensor(x, dtype=torch.float32) for x in (observations, actions)]
        weights = torch.as_tensor(advantages, dtype=torch.float32)
        guides = torch.full((len(self._guide[0]),), weight * float(weights.max()))
        return Weighted(
            torch.cat([parts[0], self._guide[0]]),
            torch.cat([parts[1], self._guide[1]]),
            torch.cat([weights, guides]),
        )

    def _count(self) -> None:
        now = time.process_time()
        self.cpu_s, self._clock = self.cpu_s + now - self._clock, now
