"""How good an iterate is, on fixed seeds, and the best of them so far."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.experts.network import NetworkExpert
from envs.experts.training.episodes import Episode, run
from envs.experts.training.scene import Scene

CHOICE_SEED = 5_000_000


def goal_at_end(episodes: Sequence[Episode]) -> float:
    """Share of the episodes whose goal holds after the last step."""
    return float(np.mean([episode.goals[-1] for episode in episodes]))


def mean_reward(episodes: Sequence[Episode]) -> float:
    """Per step."""
    return float(np.mean([episode.rewards.mean() for episode in episodes]))


def write_arrays(path: Path, **arrays: Any) -> None:
    """Writes a file of arrays at once or not at all."""
    part = path.with_name(f"part_{path.name}")
    np.savez(part, **arrays)
    os.replace(part, path)


class Choice:
    """The best iterate so far.

    Args:
        scene: the task.
        episodes: without noise, on the same seeds for every iterate.
        arrays: of the network that stands until one was compared.

    Attributes:
        best: its score, arrays and iteration, and its share of episodes that end in the goal.
    """

    def __init__(self, scene: Scene, episodes: int, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._scene = scene
        self._seeds = range(CHOICE_SEED, CHOICE_SEED + episodes)
        self.best: dict[str, Any] = {"score": -np.inf, "arrays": dict(arrays)}

    def compare(self, arrays: Mapping[str, NDArray[Any]], iteration: int) -> str:
        """Compares a network with the best so far; returns a line about it."""
        copied = {name: array.copy() for name, array in arrays.items()}
        expert = NetworkExpert(copied)
        episodes = [run(self._scene, expert, seed) for seed in self._seeds]
        success, reward = goal_at_end(episodes), mean_reward(episodes)
        change = np.mean([np.abs(np.diff(e.actions.clip(-1, 1), axis=0)).mean() for e in episodes])
        score = success + 1e-3 * reward
        if score > self.best["score"]:
            self.best = {
                "score": score, "success": success, "iteration": iteration, "arrays": copied
            }  # fmt: skip
        return (
            f"mean action: goal at the end {success:.2f}, reward {reward:.3f}, change {change:.3f}"
        )

    def write(self, path: Path, task: str, cpu_s: float) -> Path:
        """Writes the best iterate as an expert's file."""
        meta = {
            "task": f"adroit/{task}",
            "iteration": self.best.get("iteration"),
            "goal_at_end": self.best.get("success"),
            "seeds": [self._seeds.start, self._seeds.stop],
            "cpu_minutes": round(cpu_s / 60, 1),
        }
        write_arrays(path, **self.best["arrays"], meta=np.array(json.dumps(meta)))
        return path
