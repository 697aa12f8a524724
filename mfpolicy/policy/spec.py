"""Everything needed to build a policy anew, as plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mfpolicy.errors import ConfigError, TaskError, did_you_mean
from mfpolicy.types import APART, XYZRGB


@dataclass(frozen=True)
class PolicySpec:
    """Everything needed to build a policy anew; saved with its weights.

    Attributes:
        preset: name of the preset it was made from.
        point_dim: values per point: 3, or 6 with red, green and blue from 0 to 255.
        points: points per cloud, None for any number.
        state_dim: S. action_dim: A.
        n_obs_steps: To. horizon: Th. n_action_steps: Ta.
        encoder, network, objective: registered name under ``name``, options beside it; the
            encoder's ``state`` holds the options of the robot-state encoder, ``clouds`` the number
            of clouds that are encoded apart (None: as the recipe keeps them), ``relative_to`` the
            positions in the state that points are seen from too.
        task, control_rate_hz, recipe: what the training data were, where known; the recipe is
            that of the point clouds, so that a robot repeats it.
        demonstration_seeds: seeds of the episodes it was trained on; an evaluation keeps clear of
            them.
        auxiliary: options of the auxiliary losses that it was trained with, by registered name.
        multitask: of a policy that is told its task, ``condition``, options of what tells it, and
            ``tasks``, by name what holds for each alone (``demonstration_seeds``); else empty.

    Raises:
        ConfigError: the executed actions do not fit the chunk.
    """

    preset: str
    point_dim: int
    state_dim: int
    action_dim: int
    n_obs_steps: int
    horizon: int
    n_action_steps: int
    encoder: Mapping[str, Any]
    network: Mapping[str, Any]
    objective: Mapping[str, Any]
    points: int | None = None
    task: str | None = None
    control_rate_hz: float | None = None
    recipe: Mapping[str, Any] | None = None
    demonstration_seeds: Sequence[int] | None = None
    auxiliary: Mapping[str, Any] = field(default_factory=dict)
    multitask: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        longest = self.horizon - self.n_obs_steps + 1
        if not 1 <= self.n_action_steps <= longest:
            raise ConfigError(
                "n_action_steps must be in [1, horizon - n_obs_steps + 1] = "
                f"[1, {longest}], since a chunk starts at the first observed step",
                received=self.n_action_steps,
            )

    @property
    def color(self) -> bool:
        """Whether the policy sees the colors of points."""
        return self.point_dim == XYZRGB

    @property
    def parts(self) -> int:
        """K, the clouds of cameras that the recipe keeps apart, in turns in one; 1 where joined."""
        recipe = self.recipe or {}
        apart = recipe.get("clouds") == APART
        return 1 + len(recipe.get("further_cameras", ())) if apart else 1

    def part(self, kind: str) -> dict[str, Any]:
        """Returns the name and options of the encoder, the network or the objective.

        Raises:
            ConfigError: the name is missing.
        """
        options = dict(getattr(self, kind))
        if "name" not in options:
            raise ConfigError(f"the {kind} needs a name", received=options)
        return options

    def to_dict(self) -> dict[str, Any]:
        """Returns the spec as plain JSON-able values."""
        values = dataclasses.asdict(self)
        if not self.multitask:  # files of policies of one task stay as they are
            del values["multitask"]
        return values

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that it was trained for, in the order of their numbers; none if unknown."""
        if self.multitask:
            return tuple(self.multitask["tasks"])
        return () if self.task is None else (self.task,)

    @property
    def several(self) -> bool:
        """Whether it must be told which task to do."""
        return len(self.tasks) > 1

    def with_seeds_of(self, other: PolicySpec) -> PolicySpec:
        """Returns the spec with what another of the same tasks was trained on beside its own."""
        if not self.multitask:
            seeds = union_of_seeds(self.demonstration_seeds, other.demonstration_seeds)
            return dataclasses.replace(self, demonstration_seeds=seeds)
        own, theirs = self.multitask["tasks"], other.multitask["tasks"]
        seeds_of = {
            task: union_of_seeds(said["demonstration_seeds"], theirs[task]["demonstration_seeds"])
            for task, said in own.items()
        }
        tasks = {task: {**own[task], "demonstration_seeds": s} for task, s in seeds_of.items()}
        return dataclasses.replace(self, multitask={**self.multitask, "tasks": tasks})

    def for_task(self, task: str) -> PolicySpec:
        """Returns the spec of the policy that does this one of the tasks.

        Raises:
            TaskError: it is none of them; the message gives the nearest.
        """
        if task not in self.tasks:
            raise TaskError(
                "task must be one that the policy was trained for",
                received=task,
                remedy=did_you_mean(task, self.tasks) if self.tasks else "its data names none",
            )
        if not self.multitask:
            return self
        own = self.multitask["tasks"][task]
        return dataclasses.replace(
            self,
            task=task,
            demonstration_seeds=own["demonstration_seeds"],
            multitask={**self.multitask, "tasks": {task: own}},
        )


def union_of_seeds(*seeds: Sequence[int] | None) -> list[int] | None:
    """All that are known; None where none are."""
    known = [own for own in seeds if own is not None]
    return sorted(set().union(*known)) if known else None
