"""Runs one episode: observe To frames, decide once, execute Ta actions, until the episode ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from mfpolicy.errors import RunError
from mfpolicy.evaluation.latency import STAGES, RolloutPolicy, decide, policy_device
from mfpolicy.types import EpisodeResult

WARM_UP_DECISIONS = 3


class RolloutEnv(Protocol):
    """What an evaluation asks of an environment.

    Attributes:
        action_space: a Box with ``low`` and ``high`` (A,).
        points_ms: milliseconds that the last observation's cloud took after rendering.
    """

    action_space: Any
    points_ms: float

    def reset(self, *, seed: int | None = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Starts the episode of ``seed``; returns the first observation and info."""
        ...

    def simulate(self, action: np.ndarray) -> tuple[float, bool, bool, dict[str, Any]]:
        """One control step without an observation: reward, terminated, truncated, info."""
        ...

    def observe(self) -> dict[str, np.ndarray]:
        """The observation of the current state."""
        ...

    def render(self) -> Any:
        """The current state as (H, W, 3) uint8, where the environment was made for it."""
        ...

    def close(self) -> None:
        """Frees the simulator."""
        ...


@dataclass
class _Tally:
    """What an episode adds up to while it runs."""

    success_any: bool = False
    success_end: bool = False
    steps: int = 0
    episode_return: float = 0.0
    clipped_actions: int = 0
    latencies_ms: dict[str, list[float]] = field(default_factory=lambda: {s: [] for s in STAGES})

    def add_step(self, reward: float, info: dict[str, Any]) -> None:
        if "success" not in info:
            raise RunError("an environment must report info['success'] at every step")
        self.success_end = bool(info["success"])
        self.success_any |= self.success_end
        self.steps += 1
        self.episode_return += float(reward)

    def add_latencies(self, stages_ms: dict[str, float]) -> None:
        for stage, value in stages_ms.items():
            self.latencies_ms[stage].append(value)


def run_episode(
    env: RolloutEnv,
    policy: RolloutPolicy,
    seed: int,
    steps: int = 1,
    *,
    noise_scale: float = 1.0,
    guidance_scale: float | None = None,
    on_state: Callable[[int], None] | None = None,
) -> EpisodeResult:
    """Runs the episode of ``seed`` to its end and returns its record.

    The seed decides everything random: it resets the environment and seeds the generator of the
    policy's noise, so the same seed gives the same episode. The first frame is repeated to fill
    the observation horizon. Of an executed chunk only the last To states are observed, because
    the next decision sees no others: a cloud is rendered for those alone. Actions outside the
    action space are clipped to it and counted.

    Args:
        env: the environment.
        policy: the policy; ``policy.spec`` gives To and Ta.
        seed: seed of the environment and of the noise.
        steps: network evaluations a decision (NFE).
        noise_scale: factor on the policy's noise; 0 leaves its centre.
        guidance_scale: of a network that takes it as an input; None takes the objective's.
        on_state: called with the number of steps taken, after the reset and after each step.

    Raises:
        RunError: the policy gave an action that is not finite or has the wrong shape.
    """
    generator = torch.Generator(policy_device(policy)).manual_seed(seed)
    horizon = policy.spec.n_obs_steps
    points = policy.spec.points
    frames = deque([_seen(env.reset(seed=seed)[0], points)] * horizon, maxlen=horizon)
    tally = _Tally()
    notify = on_state or (lambda _: None)
    notify(0)
    done = False
    while not done:
        decision = decide(
            policy,
            tuple(frames),
            steps=steps,
            generator=generator,
            noise_scale=noise_scale,
            guidance_scale=guidance_scale,
        )
        tally.add_latencies({"points": float(env.points_ms), **decision.latencies_ms})
        actions, outside = _executable(decision.actions, env)
        for index, action in enumerate(actions):
            reward, terminated, truncated, info = env.simulate(action)
            tally.add_step(reward, info)
            tally.clipped_actions += int(outside[index])
            notify(tally.steps)
            done = terminated or truncated
            if done:
                break
            if index >= len(actions) - horizon:
                frames.append(_seen(env.observe(), points))
    return EpisodeResult(seed=seed, **vars(tally))


def warm_up(
    env: RolloutEnv, policy: RolloutPolicy, steps: int = 1, guidance_scale: float | None = None
) -> None:
    """Makes the cold calls before the clock counts: one reset and a few discarded decisions.

    A first call loads kernels, allocates and compiles, which a robot does once at start-up.
    """
    frame = _seen(env.reset(seed=0)[0], policy.spec.points)
    generator = torch.Generator(policy_device(policy)).manual_seed(0)
    for _ in range(WARM_UP_DECISIONS):
        decide(
            policy,
            [frame] * policy.spec.n_obs_steps,
            steps=steps,
            generator=generator,
            guidance_scale=guidance_scale,
        )


def _seen(frame: dict[str, np.ndarray], points: int | None) -> dict[str, np.ndarray]:
    """The part of an observation that the policy takes.

    A cloud is in farthest-point order, so its first points are what sampling fewer gives.
    """
    return {**frame, "point_cloud": frame["point_cloud"][:points]}


def _executable(actions: np.ndarray, env: RolloutEnv) -> tuple[np.ndarray, np.ndarray]:
    """Returns the actions (Ta, A) within the action space, and which rows (Ta,) were outside."""
    low, high = env.action_space.low, env.action_space.high  # (A,)
    if actions.ndim != 2 or actions.shape[0] < 1 or actions.shape[1:] != low.shape:
        raise RunError(
            f"the policy's actions must have the shape (Ta, {low.shape[0]})",
            received=actions.shape,
            remedy="evaluate the policy on a task with the dimensions it was trained on",
        )
    if not np.isfinite(actions).all():
        raise RunError(
            "the policy's actions must be finite",
            received=actions.tolist(),
            remedy="train again with a lower learning rate, or use an earlier checkpoint",
        )
    clipped = np.clip(actions, low, high).astype(np.float32)
    return clipped, ((actions < low) | (actions > high)).any(axis=1)
