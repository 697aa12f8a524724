"""What runs inside an evaluation's worker process: episodes, and their replay with pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mfpolicy.deployment import chunking
from mfpolicy.deployment.chunking.steering import check_executor
from mfpolicy.errors import RunError
from mfpolicy.evaluation.compiled import CompiledRollout, check_compiled
from mfpolicy.evaluation.latency import RolloutPolicy
from mfpolicy.evaluation.pictures import draw_point_cloud
from mfpolicy.evaluation.rollout import RolloutEnv, run_episode, warm_up
from mfpolicy.evaluation.run_folder import check_renderer
from mfpolicy.evaluation.video import VideoWriter
from mfpolicy.policy import load_policy
from mfpolicy.types import RAYCAST, XYZRGB, EpisodeResult

PLAIN_EXECUTION: Mapping[str, Any] = {"name": "receding_horizon"}

MakeEnv = Callable[..., Any]
"""Builds an environment; takes ``render_mode="rgb_array"`` where a video is wanted."""


class EpisodeService:
    """Holds a policy and an environment, and runs the episode of each seed it is given.

    Args:
        run: the run folder.
        make_env: builds the environment.
        device: of the policy.
        steps: network evaluations a decision (NFE); None takes the objective's default.
        noise_scale: factor on the policy's noise.
        guidance_scale: of a network that takes it as an input; None takes the objective's.
        execution: how chunks are executed, registered name under ``name`` and its options; None
            executes each whole.
        latency_ms: from an observation to the chunk decided on it, rounded up to control steps.
        compiled: backend and precision of a compiled policy; None runs the policy itself.
        task: which of several tasks to do, that of the environment; None of a policy of one.

    Raises:
        RunError: the policy does not fit the environment, is told another task than it shows, or
            sees colors, and those of the environment are of another kind than it was trained with.
        ConfigError: the policy's objective cannot do so many steps, or no such guidance, or the
            execution does not exist or does not fit the policy.
    """

    def __init__(
        self,
        run: Path,
        make_env: MakeEnv,
        device: str,
        steps: int | None,
        noise_scale: float = 1.0,
        guidance_scale: float | None = None,
        execution: Mapping[str, Any] | None = None,
        latency_ms: float = 0.0,
        compiled: Mapping[str, str] | None = None,
        task: str | None = None,
    ) -> None:
        self.policy = load_policy(run, device, task=task)
        self.executor = chunking.build(**(execution or PLAIN_EXECUTION))
        check_executor(self.policy, self.executor)
        self.noise_scale, self.guidance_scale = noise_scale, guidance_scale
        self.steps = self.policy.objective.check_steps(steps)
        self.decider: RolloutPolicy = self.policy
        if compiled is not None:
            check_compiled(compiled, (execution or PLAIN_EXECUTION)["name"])
            scales = {"noise_scale": noise_scale, "guidance_scale": guidance_scale}
            self.decider = CompiledRollout(self.policy, compiled, steps=self.steps, **scales)
        self.env: Any = make_env()
        try:
            check_fit(self.policy.spec, self.env)
            if task is not None:
                _check_shown(self.env.spec_task.name, task)
            if self.policy.spec.color:
                renderer = getattr(self.env, "renderer", None)
                check_renderer(run, renderer, self.env.spec_task.name)
            warm_up(self.env, self.decider, self.steps, guidance_scale)
        except BaseException:
            self.env.close()
            raise
        shown = self.env.spec_task
        self.delay_steps = delay_steps(latency_ms, shown.control_rate_hz)
        self.facts = {
            "task": shown.name,
            "horizon": shown.horizon,
            "device": str(self.policy.device),
            "nfe": self.steps,
            "recipe": self.env.recipe.to_dict() if self.env.recipe else None,
        }
        if getattr(self.env, "renderer", None) == RAYCAST:  # records without it are of OpenGL
            self.facts["renderer"] = RAYCAST
        if noise_scale != 1:  # records without it are those of the noise as it is
            self.facts["noise_scale"] = noise_scale
        if guidance_scale is not None:
            self.facts["guidance_scale"] = guidance_scale
        if execution is not None:
            self.facts["execution"] = dict(execution)
        if self.delay_steps:
            self.facts["latency_ms"] = latency_ms
        if compiled is not None:
            self.facts["compiled"] = dict(compiled)
        if (perturbation := getattr(self.env, "perturbation", None)) is not None:
            self.facts["perturbation"] = perturbation

    def run(self, item: int) -> EpisodeResult:
        """Runs the episode of the seed ``item``."""
        return self._episode(item)

    def _episode(self, seed: int, on_state: Callable[[int], None] | None = None) -> EpisodeResult:
        return run_episode(
            self.env,
            self.decider,
            seed,
            self.steps,
            noise_scale=self.noise_scale,
            guidance_scale=self.guidance_scale,
            executor=self.executor,
            delay_steps=self.delay_steps,
            on_state=on_state,
        )

    def close(self) -> None:
        """Frees the simulator."""
        self.env.close()


@dataclass(frozen=True)
class Replay:
    """An episode to show again.

    Attributes:
        record: what happened. video: where the mp4 goes. picture: where the cloud's PNG goes.
    """

    record: EpisodeResult
    video: Path
    picture: Path | None = None

    def __str__(self) -> str:
        return str(self.record.seed)


class ReplayService(EpisodeService):
    """Repeats recorded episodes on camera; ``make_env`` must build an environment that renders."""

    def run(self, item: Replay) -> EpisodeResult:  # type: ignore[override]
        """Replays ``item``, and keeps the video if the episode took the same course.

        Raises:
            RunError: the replay ended differently, so the record cannot be trusted.
        """
        rate_hz = self.env.spec_task.control_rate_hz
        with VideoWriter(item.video, rate_hz) as video:

            def film(step: int) -> None:
                if step == 0 and item.picture is not None:
                    self._draw(item.picture, self.env)
                if video.wants(step):
                    video.add(self.env.render())

            result = self._episode(item.record.seed, film)
            if _course(result) != _course(item.record):
                raise RunError(
                    f"the replay of seed {result.seed} must take the course that was recorded",
                    received=f"recorded {_course(item.record)}, replayed {_course(result)}",
                    remedy="evaluate again under another name, or leave the videos out; "
                    "the same seed gives the same episode only on the same kind of machine",
                )
        return result

    def _draw(self, path: Path, env: RolloutEnv) -> None:
        cloud = env.observe()["point_cloud"][: self.policy.spec.points]
        draw_point_cloud(path, cloud, env.render())


def delay_steps(latency_ms: float, rate_hz: float) -> int:
    """The whole number of control steps that a latency lasts: an answer waits for the next step.

    Example:
        >>> [delay_steps(latency, 80.0) for latency in (0, 50, 51, 300)]
        [0, 4, 5, 24]
    """
    return math.ceil(latency_ms / 1e3 * rate_hz - 1e-9)  # 0.1 s · 80 Hz is not 9 by rounding


def check_fit(spec: Any, env: Any) -> None:
    """Refuses an environment that the policy was not trained for, naming both values.

    Raises:
        RunError: dimensions, points or the recipe of the point cloud differ.
    """
    cloud = env.observation_space["point_cloud"].shape
    pairs = {
        "state dimensions": (spec.state_dim, env.observation_space["agent_pos"].shape[-1]),
        "action dimensions": (spec.action_dim, env.action_space.shape[-1]),
        "values per point": (spec.point_dim, cloud[-1]),
    }
    if spec.recipe is not None and env.recipe is not None:
        # The policy takes a prefix of the sampled points, so the environment may give more.
        ours, theirs = ({**r, "points": None} for r in (spec.recipe, env.recipe.to_dict()))
        for key in sorted(ours.keys() | theirs.keys()):
            pairs[f"the point-cloud recipe's {key}"] = (ours.get(key), theirs.get(key))
    for what, (policy_has, env_has) in pairs.items():
        if policy_has != env_has:
            raise RunError(
                f"policy and environment must agree on {what}",
                received=f"policy {policy_has}, environment {env_has}",
                remedy=_remedy(what, policy_has),
            )
    if spec.points is not None and cloud[0] < spec.points:
        raise RunError(
            "the environment must give as many points as the policy takes",
            received=f"policy {spec.points}, environment {cloud[0]}",
            remedy=f"make the environment with points={spec.points}",
        )


def _check_shown(shown: str, told: str) -> None:
    if shown != told:
        raise RunError(
            "a policy that is told its task must be shown it",
            received=f"told {told}, shown {shown}",
            remedy=f"make the environment of {told}",
        )


def _remedy(what: str, policy_has: Any) -> str:
    if what == "values per point" and policy_has == XYZRGB:
        return "make the environment with color=True: the policy sees colors"
    if what == "values per point":
        return "make the environment without color: the policy sees none"
    return "evaluate with the task and recipe that the policy was trained on"


def _course(result: EpisodeResult) -> EpisodeResult:
    """The record without its latencies: what must repeat. Old records have no jerk."""
    return replace(result, latencies_ms={}, rms_jerk_per_s3=None)
