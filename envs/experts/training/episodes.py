"""Episodes of a scene under a policy, and how well each step of them went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from envs.experts.training.scene import Scene


@dataclass(frozen=True)
class Episode:
    """One episode: observations (T, O), actions (T, A), rewards (T,), goals (T,)."""

    observations: NDArray[Any]
    actions: NDArray[Any]
    rewards: NDArray[Any]
    goals: NDArray[np.bool_]


class Acting(Protocol):
    """What an episode is run with."""

    def output(self, state: NDArray[Any], /) -> NDArray[Any]:
        """(A,) the action of an observation (O,)."""
        ...


def run(
    scene: Scene,
    expert: Acting,
    seed: int,
    std: NDArray[Any] | None = None,
    noise_seed: int = 0,
) -> Episode:
    """The episode of ``seed``, with noise of ``std`` (A,), drawn by ``noise_seed``, if given."""
    scene.reset(seed)
    noise = np.zeros((scene.horizon, scene.action_dim))
    if std is not None:
        noise = np.random.default_rng(noise_seed).normal(size=noise.shape) * std
    observations, actions, states = [], [], []
    for step in range(scene.horizon):
        observations.append(scene.observe())
        actions.append(expert.output(observations[-1]) + noise[step])
        scene.step(actions[-1])
        data = scene.data
        states.append((data.qpos.copy(), data.qvel.copy(), data.sensordata.copy()))
    signals = scene.signals_of(*(np.array(column) for column in zip(*states, strict=True)))
    reward = scene.reward
    return Episode(
        np.array(observations), np.array(actions), reward.reward(signals), reward.goal(signals)
    )


class ValueFunction:
    """A network that foretells the return of an observation at a step.

    Args:
        mean, scale: (O,) of the observations. horizon: control steps of an episode.
        discount, trace: γ and λ of generalised advantage estimation (Schulman et al., 2016).
    """

    def __init__(
        self,
        mean: NDArray[Any],
        scale: NDArray[Any],
        horizon: int,
        *,
        discount: float = 0.985,
        trace: float = 0.95,
    ) -> None:
        self._mean, self._scale, self._horizon = mean, scale, horizon
        self._discount, self._trace = discount, trace
        self.network = nn.Sequential(
            nn.Linear(len(mean) + 2, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh(),
            nn.Linear(128, 1),
        )  # fmt: skip
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)

    def advantages(self, episodes: list[Episode]) -> NDArray[Any]:
        """(N,) advantages of all steps, normalised; the function is fitted to them afterwards."""
        inputs = torch.cat([self._inputs(episode.observations) for episode in episodes])
        with torch.no_grad():
            values = self.network(inputs)[:, 0].numpy().reshape(len(episodes), -1)
        rewards = np.stack([episode.rewards for episode in episodes])
        following = np.concatenate([values[:, 1:], values[:, -1:]], axis=1)
        errors = rewards + self._discount * following - values
        advantages = np.zeros_like(errors)
        running = np.zeros(len(errors))
        for step in reversed(range(errors.shape[1])):
            running = errors[:, step] + self._discount * self._trace * running
            advantages[:, step] = running
        self._fit(inputs, torch.as_tensor((advantages + values).reshape(-1), dtype=torch.float32))
        flat = advantages.reshape(-1)
        return (flat - flat.mean()) / (flat.std() + 1e-8)

    def _fit(self, inputs: Tensor, returns: Tensor, epochs: int = 4) -> None:
        for _ in range(epochs):
            for rows in torch.randperm(len(inputs)).split(256):
                loss = (self.network(inputs[rows])[:, 0] - returns[rows]).square().mean()
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()

    def _inputs(self, observations: NDArray[Any]) -> Tensor:
        x = np.clip((observations - self._mean) / self._scale, -10, 10)
        time = np.arange(len(x))[:, None] / self._horizon
        return torch.as_tensor(np.concatenate([x, time, time**2], axis=1), dtype=torch.float32)
