"""Recorded actions, replayed in simulation from their recorded start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from mfpolicy.data.converting.base import Target, needed_task
from mfpolicy.data.demonstration import DemonstrationEnv, recorded_episode
from mfpolicy.data.episode import Episode
from mfpolicy.data.schema import DatasetSpec
from mfpolicy.errors import ConfigError
from mfpolicy.types import TaskSpec

ADROIT_RATE_HZ = 100
"""At which D4RL and DAPG recorded Adroit."""


class ReplayEnv(DemonstrationEnv, Protocol):
    """What a replay needs of an environment."""

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Starts an episode in a stored state."""
        ...


def replay_of(format_name: str, target: Target) -> tuple[TaskSpec, Callable[[], ReplayEnv], int]:
    """The task, what builds its simulation, and how many recorded steps one of its steps takes.

    Raises:
        ConfigError: there is no task, or it cannot be simulated at a whole part of 100 Hz.
    """
    task, _ = needed_task(target, format_name)
    if target.make_env is None:
        raise ConfigError("recordings without images need a simulation to be rendered in")
    repeat = round(ADROIT_RATE_HZ / task.control_rate_hz)
    if repeat < 1 or repeat * task.control_rate_hz != ADROIT_RATE_HZ:
        raise ConfigError(
            f"Adroit's recordings can be replayed at a whole part of their {ADROIT_RATE_HZ} Hz",
            received=f"{task.control_rate_hz} Hz of {task.name}",
            remedy="choose a task of adroit",
        )
    return task, target.make_env, repeat


def replay_spec(
    task: TaskSpec, env: ReplayEnv, expert: str, extra: Mapping[str, Any]
) -> DatasetSpec:
    """Of a dataset whose states and clouds are those of ``env``; ``extra`` gains its renderer."""
    return DatasetSpec(
        task=task.name,
        control_rate_hz=task.control_rate_hz,
        expert=expert,
        recipe=env.recipe,
        camera=env.camera,
        state_dim=task.state_dim,
        action_dim=task.action_dim,
        points=env.recipe.points,
        extra={**extra, "renderer": env.renderer},
    )


def held_actions(actions: np.ndarray, repeat: int) -> np.ndarray:
    """Actions at a lower rate: each the mean of ``repeat`` in turn, within [-1, 1].

    A controller that holds an action for ``repeat`` steps comes closest to the recorded commands,
    in mean square, by holding their mean. Fewer at the end are averaged alike.

    Args:
        actions: (N, A), one a step of the recording.
        repeat: steps that an action will be held.

    Returns:
        (ceil(N / repeat), A) float32.

    Example:
        >>> held_actions(np.array([[0.0], [1.0], [5.0]]), 2).tolist()
        [[0.5], [1.0]]
    """
    parts = [actions[at : at + repeat].mean(axis=0) for at in range(0, len(actions), repeat)]
    return np.clip(np.stack(parts), -1.0, 1.0).astype(np.float32)


def replay(
    env: ReplayEnv,
    state: Mapping[str, np.ndarray],
    actions: np.ndarray,
    *,
    seed: int,
    store_extras: bool,
) -> Episode:
    """Restores ``state`` and carries out ``actions``; step i holds what was seen before action i.

    What is recorded is the replay, not the recording: each row's action, carried out in its state,
    leads to the next row's state. Success is the task's rule for demonstrations. The length is the
    recording's, even beyond the task's horizon, or shorter where the task itself ends.

    Args:
        env: the task.
        state: the simulator's state at the start, arrays by name.
        actions: (L, A) float32 in [-1, 1], at the control rate of ``env``.
        seed: number of the episode.
        store_extras: also keep colors and the simulator's own observation.

    Raises:
        ConfigError: this is no state of the task.
    """
    observe = env.observe_full if store_extras else env.observe
    env.restore(state)
    frames: list[dict[str, np.ndarray]] = []
    successes: list[bool] = []
    for action in actions:
        frames.append({name: np.array(value) for name, value in observe().items()})
        _, terminated, _, info = env.simulate(action)
        successes.append(bool(info["success"]))
        if terminated:
            break
    rule = env.spec_task.demonstration
    return recorded_episode(frames, list(actions[: len(frames)]), successes, seed=seed, rule=rule)


def rendered(
    env: ReplayEnv,
    states: Sequence[Mapping[str, np.ndarray]],
    actions: np.ndarray,
    successes: Sequence[bool],
    *,
    seed: int,
    store_extras: bool,
) -> Episode:
    """Renders what the environment would have seen in each of ``states``, without simulating.

    Args:
        env: the task.
        states: of the simulator before each action, arrays by name.
        actions: (L, A) float32 in [-1, 1].
        successes: recorded flag after each action, one for each or one fewer.
        seed: number of the episode.
        store_extras: also keep colors and the simulator's own observation.

    Raises:
        ConfigError: one is no state of the task.
    """
    observe = env.observe_full if store_extras else env.observe
    frames = []
    for state in states:
        env.restore(state)
        frames.append({name: np.array(value) for name, value in observe().items()})
    flags = [*successes, *successes[-1:]][: len(frames)] or [False] * len(frames)
    rule = env.spec_task.demonstration
    return recorded_episode(frames, list(actions), list(flags), seed=seed, rule=rule)
