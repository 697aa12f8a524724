"""Runs one episode: observe To frames, decide, execute, until the episode ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from mfpolicy.deployment.chunking import ChunkExecutor, RecedingHorizon, Request
from mfpolicy.errors import RunError
from mfpolicy.evaluation.latency import STAGES, RolloutPolicy, decide, policy_device
from mfpolicy.evaluation.motion import action_kinds, rms_jerk_per_s3, standing_still
from mfpolicy.types import EpisodeResult, TaskSpec

WARM_UP_DECISIONS = 3


class RolloutEnv(Protocol):
    """What an evaluation asks of an environment.

    Attributes:
        action_space: a Box with ``low`` and ``high`` (A,).
        points_ms: milliseconds that the last observation's cloud took after rendering.
        spec_task: the task.
    """

    action_space: Any
    points_ms: float
    spec_task: TaskSpec

    def reset(self, *, seed: int | None = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Starts the episode of ``seed``; returns the first observation and info."""
        ...

    def simulate(self, action: np.ndarray) -> tuple[float, bool, bool, dict[str, Any]]:
        """One control step without an observation: reward, terminated, truncated, info.

        Info has ``success``, and ``flags``, name → bool, where the task names more flags.
        """
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
    latencies_ms: dict[str, list[float]] = field(default_factory=lambda: {s: [] for s in STAGES})
    flags: dict[str, bool] = field(default_factory=dict)

    def add_step(self, reward: float, info: dict[str, Any]) -> None:
        if "success" not in info:
            raise RunError("an environment must report info['success'] at every step")
        self.success_end = bool(info["success"])
        self.success_any |= self.success_end
        for name, up in info.get("flags", {}).items():
            self.flags[name] = self.flags.get(name, False) or bool(up)
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
    executor: ChunkExecutor | None = None,
    delay_steps: int = 0,
    on_state: Callable[[int], None] | None = None,
) -> EpisodeResult:
    """Runs the episode of ``seed`` to its end and returns its record.

    The seed decides everything random: it resets the environment and seeds the generator of the
    policy's noise, so the same seed gives the same episode. The first frame is repeated to fill
    the observation horizon. Only the last To states before a decision are observed, because it
    sees no others: a cloud is rendered for those alone. While an answer is on its way the
    environment goes on; where the executor has nothing to execute, the robot is held where it is.
    Actions outside the action space are clipped to it and counted.

    Args:
        env: the environment.
        policy: the policy; ``policy.spec`` gives To and Ta.
        seed: seed of the environment and of the noise.
        steps: network evaluations a decision (NFE).
        noise_scale: factor on the policy's noise; 0 leaves its centre.
        guidance_scale: of a network that takes it as an input; None takes the objective's.
        executor: how chunks are executed; None executes each whole before the next decision.
        delay_steps: control steps from an observation to the chunk that was decided on it.
        on_state: called with the number of steps taken, after the reset and after each step.

    Raises:
        RunError: the policy gave an action that is not finite or has the wrong shape.
    """
    generator = torch.Generator(policy_device(policy)).manual_seed(seed)
    horizon = policy.spec.n_obs_steps
    points = policy.spec.points
    frames = deque([_seen(env.reset(seed=seed)[0], points)] * horizon, maxlen=horizon)
    executor = executor or RecedingHorizon()
    executor.reset()
    answers = _Answers(executor, delay_steps)
    tally = _Tally()
    motion = _Motion(env)
    notify = on_state or (lambda _: None)
    notify(0)
    done = False
    while not done:
        answers.hand_in()
        request = executor.request()
        if request is not None:
            decision = decide(
                policy,
                tuple(frames),
                steps=steps,
                generator=generator,
                noise_scale=noise_scale,
                guidance_scale=guidance_scale,
                request=request,
            )
            tally.add_latencies({"points": float(env.points_ms), **decision.latencies_ms})
            _check_chunk(decision.actions, env)
            answers.send(request, decision.actions)
        action = motion.take(executor.act())
        reward, terminated, truncated, info = env.simulate(action)
        tally.add_step(reward, info)
        notify(tally.steps)
        done = terminated or truncated
        if not done and executor.ticks_to_request < horizon:
            frames.append(_seen(env.observe(), points))
    return EpisodeResult(seed=seed, **vars(tally), **motion.record())


class _Answers:
    """Answers on their way to an executor, each ``delay`` ticks after its request."""

    def __init__(self, executor: ChunkExecutor, delay: int) -> None:
        self.executor, self.delay = executor, delay
        self._waiting: deque[tuple[Request, np.ndarray]] = deque()

    def send(self, request: Request, actions: np.ndarray) -> None:
        self._waiting.append((request, actions))
        self.hand_in()

    def hand_in(self) -> None:
        """Delivers what has arrived by now."""
        now = self.executor.counts.ticks
        while self._waiting and self._waiting[0][0].tick + self.delay <= now:
            self.executor.deliver(*self._waiting.popleft())


class _Motion:
    """The actions as the environment takes them: in its space, and holding where there is none."""

    def __init__(self, env: RolloutEnv) -> None:
        self.low, self.high = env.action_space.low, env.action_space.high  # (A,)
        self.rate_hz = env.spec_task.control_rate_hz
        self.kinds = action_kinds(env.spec_task)
        self.taken: list[np.ndarray] = []
        self.clipped = self.holds = 0

    def take(self, action: np.ndarray | None) -> np.ndarray:
        if action is None:
            self.holds += 1
            action = standing_still(self.taken[-1] if self.taken else None, self.kinds)
        clipped = np.clip(action, self.low, self.high).astype(np.float32)
        self.clipped += int(((action < self.low) | (action > self.high)).any())
        self.taken.append(clipped)
        return clipped

    def record(self) -> dict[str, Any]:
        """The fields of an episode's record that follow from the actions."""
        return {
            "clipped_actions": self.clipped,
            "holds": self.holds,
            "rms_jerk_per_s3": rms_jerk_per_s3(self.taken, self.kinds, self.rate_hz),
        }


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


def _check_chunk(actions: np.ndarray, env: RolloutEnv) -> None:
    """Refuses a chunk (Ta, A) that is not finite, or that the environment cannot take."""
    dimensions = env.action_space.low.shape
    if actions.ndim != 2 or actions.shape[0] < 1 or actions.shape[1:] != dimensions:
        raise RunError(
            f"the policy's actions must have the shape (Ta, {dimensions[0]})",
            received=actions.shape,
            remedy="evaluate the policy on a task with the dimensions it was trained on",
        )
    if not np.isfinite(actions).all():
        raise RunError(
            "the policy's actions must be finite",
            received=actions.tolist(),
            remedy="train again with a lower learning rate, or use an earlier checkpoint",
        )
