"""What runs inside an evaluation's worker process: episodes, and their replay with pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mfpolicy.deployment import chunking
from mfpolicy.deployment.chunking.steering import check_executor
from mfpolicy.errors import RunError
from mfpolicy.evaluation.compiled import CompiledRollout, check_compiled
from mfpolicy.evaluation.conditions import PLAIN, Conditions
from mfpolicy.evaluation.latency import RolloutPolicy
from mfpolicy.evaluation.pictures import draw_point_cloud
from mfpolicy.evaluation.rollout import RolloutEnv, run_episode, warm_up
from mfpolicy.evaluation.run_folder import check_renderer
from mfpolicy.evaluation.video import VideoWriter
from mfpolicy.policy import load_policy
from mfpolicy.types import RAYCAST, XYZRGB, EpisodeResult

MakeEnv = Callable[..., Any]
"""Builds an environment; takes ``render_mode="rgb_array"`` where a video is wanted."""


class EpisodeService:
    """Holds a policy and an environment, and runs the episode of each seed it is given.

    Args:
        run: the run folder.
        make_env: builds the environment.
        conditions: how the policy decides; None takes the defaults.

    Raises:
        RunError: the policy does not fit the environment, is told another task than it shows, or
            sees colors, and those of the environment are of another kind than it was trained with.
        ConfigError: the policy's objective cannot do so many steps, or no such guidance, or the
            execution does not exist or does not fit the policy.
    """

    def __init__(self, run: Path, make_env: MakeEnv, conditions: Conditions | None = None) -> None:
        self.conditions = conditions = conditions or Conditions()
        self.policy = load_policy(run, conditions.device, task=conditions.task)
        execution = conditions.execution or {"name": PLAIN}
        self.executor = chunking.build(**execution)
        check_executor(self.policy, self.executor)
        self.steps = self.policy.objective.check_steps(conditions.steps)
        self.decider = self._decider(execution["name"])
        self.env: Any = make_env()
        try:
            self._check_environment(run)
            warm_up(self.env, self.decider, self.steps, conditions.guidance_scale)
        except BaseException:
            self.env.close()
            raise
        self.delay_steps = conditions.delay_steps(self.env.spec_task.control_rate_hz)
        self.facts = self._facts()

    def _decider(self, execution: str) -> RolloutPolicy:
        how = self.conditions
        if how.compiled is None:
            return self.policy
        check_compiled(how.compiled, execution)
        return CompiledRollout(
            self.policy,
            how.compiled,
            steps=self.steps,
            noise_scale=how.noise_scale,
            guidance_scale=how.guidance_scale,
        )

    def _check_environment(self, run: Path) -> None:
        check_fit(self.policy.spec, self.env)
        shown, told = self.env.spec_task.name, self.conditions.task
        if told is not None:
            _check_shown(shown, told)
        if self.policy.spec.color:
            check_renderer(run, getattr(self.env, "renderer", None), shown)

    def _facts(self) -> dict[str, Any]:
        """What decides an outcome, as an evaluation keeps it."""
        shown = self.env.spec_task
        facts = {
            "task": shown.name,
            "horizon": shown.horizon,
            "device": str(self.policy.device),
            "nfe": self.steps,
            "recipe": self.env.recipe.to_dict() if self.env.recipe else None,
            **self.conditions.facts(),
        }
        if getattr(self.env, "renderer", None) == RAYCAST:  # records without it are of OpenGL
            facts["renderer"] = RAYCAST
        if (perturbation := getattr(self.env, "perturbation", None)) is not None:
            facts["perturbation"] = perturbation
        return facts

    def run(self, item: int) -> EpisodeResult:
        """Runs the episode of the seed ``item``."""
        return self._episode(item)

    def _episode(self, seed: int, on_state: Callable[[int], None] | None = None) -> EpisodeResult:
        return run_episode(
            self.env,
            self.decider,
            seed,
            self.steps,
            noise_scale=self.conditions.noise_scale,
            guidance_scale=self.conditions.guidance_scale,
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
