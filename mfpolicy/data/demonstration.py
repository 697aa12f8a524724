"""One attempt of an expert, recorded as an episode."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mfpolicy.data.episode import Episode

if TYPE_CHECKING:
    from mfpolicy.pointcloud import PointCloudRecipe
    from mfpolicy.types import DemonstrationRule, TaskSpec


class DemonstrationEnv(Protocol):
    """What collection needs of an environment."""

    @property
    def spec_task(self) -> TaskSpec: ...  # noqa: D102
    @property
    def recipe(self) -> PointCloudRecipe: ...  # noqa: D102
    @property
    def camera(self) -> dict[str, Any]: ...  # noqa: D102
    @property
    def renderer(self) -> str: ...  # noqa: D102

    def reset(self, *, seed: int) -> object:
        """Starts the episode of ``seed``, entirely determined by it."""
        ...

    def observe_full(self, *, images: bool = False) -> Mapping[str, np.ndarray]:
        """point_cloud, agent_pos, color, and any further array of the current state.

        ``images`` asks for depth (H, W) in metres and image (H, W, 3) as well.
        """
        ...

    def observe(self) -> Mapping[str, np.ndarray]:
        """point_cloud and agent_pos of the current state."""
        ...

    def expert_action(self) -> np.ndarray:
        """The expert's action in the current state."""
        ...

    def simulate(self, action: np.ndarray) -> tuple[float, bool, bool, Mapping[str, Any]]:
        """Reward, terminated, truncated, info with ``success``; renders nothing."""
        ...

    def close(self) -> None:
        """Frees the renderer."""
        ...


def record_demonstration(
    env: DemonstrationEnv,
    seed: int,
    *,
    rule: DemonstrationRule,
    store_extras: bool,
    store_images: bool = False,
) -> Episode:
    """Runs the expert once; step i holds what there was to see before action i.

    The episode goes on for the rule's ``tail_steps`` after the first success, at most to the end
    that the task or the environment sets. Whether the rule keeps it is in ``Episode.success``.
    """
    observe = _observer(env, extras=store_extras, images=store_images)
    env.reset(seed=seed)
    frames: list[dict[str, np.ndarray]] = []
    actions: list[np.ndarray] = []
    successes: list[bool] = []
    remaining = env.spec_task.horizon
    while remaining > 0:
        frames.append({name: np.array(value) for name, value in observe().items()})
        actions.append(np.array(env.expert_action(), dtype=np.float32))
        _, terminated, truncated, info = env.simulate(actions[-1])
        remaining -= 1
        if info["success"] and not any(successes) and rule.tail_steps is not None:
            remaining = min(remaining, rule.tail_steps)
        successes.append(bool(info["success"]))
        if terminated or truncated:
            break
    return recorded_episode(frames, actions, successes, seed=seed, rule=rule)


def _observer(
    env: DemonstrationEnv, *, extras: bool, images: bool
) -> Callable[[], Mapping[str, np.ndarray]]:
    """What looks at the current state."""
    if images:
        return functools.partial(env.observe_full, images=True)
    return env.observe_full if extras else env.observe


def recorded_episode(
    frames: Sequence[Mapping[str, np.ndarray]],
    actions: Sequence[np.ndarray],
    successes: Sequence[bool],
    *,
    seed: int,
    rule: DemonstrationRule,
) -> Episode:
    """What was seen before each action, done, and reached after it, as an episode of L steps.

    Args:
        frames: L observations by name, ``point_cloud`` and ``agent_pos`` among them.
        actions: L actions (A,).
        successes: L flags.
        seed: number of the episode.
        rule: when the episode counts as a success.
    """
    arrays = {name: np.stack([frame[name] for frame in frames]) for name in frames[0]}
    point_cloud, agent_pos = arrays.pop("point_cloud"), arrays.pop("agent_pos")
    return Episode(
        point_cloud=point_cloud,
        agent_pos=agent_pos,
        action=np.stack(actions),
        seed=seed,
        success=sum(successes) >= rule.goal_steps and (successes[-1] or not rule.success_at_end),
        color=arrays.pop("color", None),
        extras=arrays,
    )
