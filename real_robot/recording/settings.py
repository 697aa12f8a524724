"""`RecorderSettings`: what a recorder must be told beside a controller's parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mfpolicy.errors import ConfigError
from mfpolicy.options import check_choice, check_whole
from mfpolicy.types import XYZRGB
from real_robot.checks import at_least_zero, axis_numbers, positive
from real_robot.core.facts import PolicyFacts
from real_robot.node_settings import COMMAND_TYPES, NodeSettings
from real_robot.parameters import RobotParameters

ACTION_TYPES = {**COMMAND_TYPES, "joint_state": ("joint", None), "measured": (None, None)}
"""As `COMMAND_TYPES`; ``joint_state`` is a leader arm, ``measured`` an arm that is led by hand."""

_MOST_POINTS = 1 << 16


@dataclass(frozen=True)
class RecorderSettings:
    """What a recorder must be told: the dataset, the recipe of its clouds, and what an action is.

    Attributes:
        out: folder of the dataset; one that is there is continued.
        task: ``suite/task`` for the dataset, a name of yours. demonstrator: who demonstrates.
        points: P, points of a cloud. crop_min, crop_max: corners of the box that is kept, world
            frame, metres. color: whether colors are recorded.
        action_topic, action_type: what the demonstrator commands the robot by, one of
            ``ACTION_TYPES``; empty: the command_topic and command_type of a policy.
        command_timeout_s: most time since the last command; 0 holds it however old it is.
        longest_s: of an episode.
        keep_faulty: keep an episode in which an input was stale, a command was missing or a step
            came late; else it is discarded when it is stopped.

    Raises:
        ConfigError: a value is missing or does not fit.
    """

    out: str = ""
    task: str = ""
    demonstrator: str = "teleoperation"
    points: int = 1024
    crop_min: Any = ()
    crop_max: Any = ()
    color: bool = False
    action_topic: str = ""
    action_type: str = ""
    command_timeout_s: float = 0.5
    longest_s: float = 300.0
    keep_faulty: bool = False

    def __post_init__(self) -> None:
        if not self.out:
            raise ConfigError("out must name the dataset", received=self.out)
        if self.task and not all(self.task.partition("/")):
            raise ConfigError(
                "task must be suite/task, as mfpolicy train takes it",
                received=self.task,
                remedy="for example table/push",
            )
        check_whole("points", self.points, 1, _MOST_POINTS)
        for name in ("crop_min", "crop_max"):
            object.__setattr__(self, name, axis_numbers(name, getattr(self, name), 3, "xyz"))
        if not all(low < high for low, high in zip(self.crop_min, self.crop_max, strict=True)):
            raise ConfigError(
                "every coordinate of crop_min must be below that of crop_max",
                received=(self.crop_min, self.crop_max),
            )
        if self.action_type:
            check_choice("action_type", self.action_type, tuple(ACTION_TYPES))
        at_least_zero(command_timeout_s=self.command_timeout_s)
        positive(longest_s=self.longest_s)

    def source(self, settings: NodeSettings) -> tuple[str, str]:
        """Topic and type of what is recorded as actions; no topic where they are measured."""
        kind = self.action_type or settings.command_type
        topic = self.action_topic or settings.command_topic
        return ("" if kind == "measured" else topic), kind

    def check(self, parameters: RobotParameters, settings: NodeSettings) -> None:
        """Refuses settings that do not go with those of the robot.

        Raises:
            ConfigError: the rate is not given, the messages cannot carry the actions, or the camera
                gives no colors.
        """
        if not parameters.rate_hz:
            raise ConfigError(
                "rate_hz must be given: steps a second of the dataset, and of its policies",
                received=parameters.rate_hz,
                remedy="10 is usual",
            )
        settings.check_color(has_color=self.color)
        kind = self.source(settings)[1]
        space, quantity = ACTION_TYPES[kind]
        if space not in (None, parameters.space) or quantity not in (None, parameters.quantity):
            raise ConfigError(
                f"action_type must carry a {parameters.space}'s {parameters.quantity}",
                received=kind,
                remedy="see action_kind",
            )
        if 0 in parameters.action_scale:
            raise ConfigError(
                "action_scale must not be 0: actions are found by dividing by it",
                received=parameters.action_scale,
            )

    def facts(self, parameters: RobotParameters) -> PolicyFacts:
        """What a policy that is trained on the dataset will say of itself."""
        return PolicyFacts(
            n_obs_steps=1,
            n_action_steps=1,
            state_dim=len(parameters.state_elements),
            action_dim=len(parameters.axes) + (parameters.gripper_column >= 0),
            point_dim=XYZRGB if self.color else 3,
            points=self.points,
            rate_hz=parameters.rate_hz,
            crop_min=self.crop_min,
            crop_max=self.crop_max,
        )
