"""A point that must reach a goal, cheap enough to run thousands of episodes; and test policies."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import torch

from mfpolicy.types import TaskSpec

TASK = TaskSpec(
    name="fake/reach",
    suite="fake",
    difficulty="easy",
    state_dim=4,
    action_dim=2,
    horizon=11,
    control_rate_hz=60.0,
    expert="none",
)
POINTS = 24


class ReachEnv:
    """A point in the plane; success while it is within the radius of the goal.

    Args:
        horizon: control steps. radius: of success. points: of the cloud.
        die_at: seed whose episode kills the process. raise_at: seed whose episode raises.
        render_mode: rgb_array to be filmed. side: of the rendered image.
        state_dim: length of agent_pos.
    """

    def __init__(
        self,
        *,
        horizon: int = TASK.horizon,
        radius: float = 0.55,
        points: int = POINTS,
        die_at: int | None = None,
        raise_at: int | None = None,
        render_mode: str | None = None,
        side: int = 96,
        state_dim: int = TASK.state_dim,
    ) -> None:
        self.horizon, self.radius, self.points = horizon, radius, points
        self.die_at, self.raise_at, self.render_mode, self.side = (
            die_at,
            raise_at,
            render_mode,
            side,
        )
        self.spec_task, self.recipe, self.points_ms = TASK, None, 0.25
        self.observation_space = gymnasium.spaces.Dict(
            {
                "point_cloud": gymnasium.spaces.Box(-np.inf, np.inf, (points, 3), np.float32),
                "agent_pos": gymnasium.spaces.Box(-np.inf, np.inf, (state_dim,), np.float32),
            }
        )
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.observed_at: list[int] = []
        self.actions: list[np.ndarray] = []
        self.closed = False

    def reset(self, *, seed: int | None = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        if seed is not None and seed == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if seed is not None and seed == self.raise_at:
            raise ZeroDivisionError("the simulator diverged")
        rng = np.random.default_rng(seed)
        self.goal = rng.uniform(-1, 1, 2)
        self.shape = rng.normal(scale=0.05, size=(self.points, 3))
        self.position, self.time = np.zeros(2), 0
        self.observed_at, self.actions = [], []
        return self.observe(), {}

    def simulate(self, action: np.ndarray) -> tuple[float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.actions.append(action)
        self.position = self.position + 0.3 * action
        self.time += 1
        distance = float(np.linalg.norm(self.position - self.goal))
        return -distance, False, self.time >= self.horizon, {"success": distance < self.radius}

    def observe(self) -> dict[str, np.ndarray]:
        self.observed_at.append(self.time)
        cloud = self.shape + [*(self.goal - self.position), 0.1 * self.time]
        state = np.resize([*self.position, *self.goal], self.observation_space["agent_pos"].shape)
        return {"point_cloud": cloud.astype(np.float32), "agent_pos": state.astype(np.float32)}

    def render(self) -> np.ndarray:
        assert self.render_mode == "rgb_array"
        image = np.full((self.side, self.side, 3), 255, np.uint8)
        for center, color in ((self.goal, (0, 160, 0)), (self.position, (200, 0, 0))):
            row, column = (np.clip(center / 4 + 0.5, 0.05, 0.95) * self.side).astype(int)
            image[row - 3 : row + 3, column - 3 : column + 3] = color
        return image

    def close(self) -> None:
        self.closed = True


class ForgetfulEnv(ReachEnv):
    """Its outcome depends on how many episodes it has run: not reproducible from the seed."""

    count = 0

    def reset(self, *, seed: int | None = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        self.count += 1
        observation = super().reset(seed=seed)
        self.position = self.position + 0.01 * self.count
        return observation


class ReactivePolicy(torch.nn.Module):
    """Actions are a fixed function of everything it sees, plus noise; it keeps what it saw.

    Args:
        n_obs_steps: To. n_action_steps: Ta. scale: of the actions. poison: gives NaN.
        shape: of one action.
    """

    def __init__(
        self,
        *,
        n_obs_steps: int = 2,
        n_action_steps: int = 3,
        scale: float = 0.5,
        poison: float = 0.0,
        action_dim: int = 2,
    ) -> None:
        super().__init__()
        self.spec = SimpleNamespace(
            n_obs_steps=n_obs_steps, n_action_steps=n_action_steps, points=16
        )
        self.scale, self.poison, self.action_dim = scale, poison, action_dim
        self.seen: list[dict[str, np.ndarray]] = []

    def prepare(self, observation: dict[str, np.ndarray]) -> torch.Tensor:
        self.seen.append(observation)
        parts = [observation[key].reshape(1, -1) for key in ("point_cloud", "agent_pos")]
        return torch.from_numpy(np.concatenate(parts, axis=1))

    def encode(self, prepared: torch.Tensor) -> torch.Tensor:
        return torch.sin(prepared.cumsum(dim=1))

    def decode(
        self,
        condition: torch.Tensor,
        *,
        steps: int,
        generator: torch.Generator,
        noise_scale: float = 1.0,
        guidance_scale: float | None = None,
    ) -> torch.Tensor:
        shape = (1, self.spec.n_action_steps, self.action_dim)
        noise = noise_scale * torch.randn(shape, generator=generator)
        return self.scale * (condition.mean() + noise) / steps + self.poison


def render_every_step(env: ReachEnv, policy: ReactivePolicy, seed: int) -> list[dict[str, Any]]:
    """The plain way: observe after each step, decide on the last To frames; what it decided on."""
    frames = [env.reset(seed=seed)[0]] * policy.spec.n_obs_steps
    generator = torch.Generator().manual_seed(seed)
    decided_on, done = [], False
    while not done:
        stacked = {key: np.stack([frame[key] for frame in frames])[None] for key in frames[0]}
        stacked["point_cloud"] = stacked["point_cloud"][:, :, : policy.spec.points]
        decided_on.append(stacked)
        condition = policy.encode(policy.prepare(stacked))
        for action in policy.decode(condition, steps=1, generator=generator)[0].numpy():
            _, terminated, truncated, _ = env.simulate(np.clip(action, -1, 1))
            frames = [*frames[1:], env.observe()]
            done = terminated or truncated
            if done:
                break
    return decided_on
