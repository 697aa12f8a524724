"""`World`: a task in which a robot is driven from outside, one control step after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mfpolicy.errors import ConfigError
from mfpolicy.types import EpisodeResult

if TYPE_CHECKING:
    from envs.base import PointCloudEnv
    from envs.robot.body import Body


class Phase(StrEnum):
    """What a world does with commands and time."""

    DEAF = "deaf"
    LISTENING = "listening"
    RUNNING = "running"
    ENDED = "ended"


class World:
    """Counts an episode as :mod:`mfpolicy.evaluation` does, with the first command as its begin.

    Before that command and after its last step the world stands still, so that the seed's first
    state is what the policy sees first; sensors go on telling it. In between every control step
    leads towards what was commanded last, and the robot rests where nothing is commanded.

    Args:
        env: the task; its horizon is the episode's.

    Attributes:
        env: the task. body: its robot. phase: what it does now.
        result: of this episode so far. actions: (A,) of each step of it.

    Raises:
        ConfigError: nobody wrote a robot for the task's suite.
    """

    def __init__(self, env: PointCloudEnv) -> None:
        self.env = env
        self.reset(0)
        self.body = _body(env)

    def reset(self, seed: int) -> None:
        """Places everything by ``seed``; commands are not heard until `listen`."""
        self.env.reset(seed=seed)
        self.phase = Phase.DEAF
        self.result = EpisodeResult(
            seed, success_any=False, success_end=False, steps=0, episode_return=0.0
        )
        self.actions: list[list[float]] = []
        self._is_commanded = False
        if hasattr(self, "body"):
            self.body.rest()

    def listen(self) -> None:
        """Hears commands from now on; the first one begins the episode."""
        if self.phase is Phase.DEAF:
            self.phase = Phase.LISTENING

    def command(self, target: Sequence[float]) -> None:
        """Takes a target (D,), unless the world is deaf or the episode ended."""
        if self.phase in (Phase.LISTENING, Phase.RUNNING):
            self.phase, self._is_commanded = Phase.RUNNING, True
            self.body.command(target)

    def grip(self, value: float) -> None:
        """Takes a command of the gripper."""
        if self.phase in (Phase.LISTENING, Phase.RUNNING):
            self.body.grip(value)

    def advance(self) -> None:
        """One control step of a running episode."""
        if self.phase is not Phase.RUNNING:
            return
        action = self.body.action()
        reward, terminated, truncated, info = self.env.simulate(action)
        before, success = self.result, bool(info["success"])
        self.actions.append(action.tolist())
        self.result = replace(
            before,
            success_any=before.success_any or success,
            success_end=success,
            steps=before.steps + 1,
            episode_return=before.episode_return + float(reward),
            holds=before.holds + (not self._is_commanded),
            flags={
                name: before.flags.get(name, False) or bool(up)
                for name, up in info.get("flags", {}).items()
            },
        )
        self._is_commanded = False
        if terminated or truncated:
            self.phase = Phase.ENDED

    def described(self) -> dict[str, Any]:
        """Task, camera and robot, as JSON can say it."""
        task = self.env.spec_task
        return {
            "task": task.name,
            "rate_hz": task.control_rate_hz,
            "horizon": task.horizon,
            "renderer": self.env.renderer,
            "camera": self.env.camera,
            "color": self.env.color,
            "robot": asdict(self.body.interface),
        }


def _body(env: PointCloudEnv) -> Body:
    from envs.adroit import AdroitSimulation
    from envs.metaworld import MetaWorldSimulation
    from envs.robot.hand import AdroitHand
    from envs.robot.sawyer import Sawyer

    if isinstance(env.simulation, MetaWorldSimulation):
        return Sawyer(env.simulation, env.spec_task)
    if isinstance(env.simulation, AdroitSimulation):
        return AdroitHand(env.simulation, env.spec_task)
    raise ConfigError(
        "a simulated robot must be of a suite that has one: adroit or metaworld",
        received=env.spec_task.suite,
        remedy="write a Body for it, see envs/robot/sawyer.py",
    )
