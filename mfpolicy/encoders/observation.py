"""Observation history → condition."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mfpolicy.encoders.apart import Apart
from mfpolicy.encoders.base import ENCODERS, CloudEncoder
from mfpolicy.encoders.fusion import FUSIONS
from mfpolicy.encoders.history import HISTORIES
from mfpolicy.encoders.relative import RelativePoints, build_relative_points
from mfpolicy.encoders.state import StateEncoder, StateOptions
from mfpolicy.encoders.task import TASK_CONDITIONS, TaskCondition
from mfpolicy.errors import ConfigError
from mfpolicy.options import check_type, parse_options
from mfpolicy.types import XYZRGB


@dataclass(frozen=True)
class Encoded:
    """What was made of a batch of observations.

    Attributes:
        condition: (B, C), the vector (with the task's part at its end, if there are several) and
            behind it the flattened tokens, as networks take it.
        clouds: (F, D), the vector of each frame's cloud alone. Frames that a batch repeats are
            there once.
        vectors: (F, V), the fused vector of each frame.
        place: (B, To) int64, which of the F frames stands where.
        first: (F,) int64, the place in (B · To) where each frame stands.
    """

    condition: torch.Tensor
    clouds: torch.Tensor
    vectors: torch.Tensor
    place: torch.Tensor
    first: torch.Tensor


class ObservationEncoder(nn.Module):
    """Encodes each frame's cloud and state, fuses the two, and puts the frames together.

    The condition is one tensor, so that whatever handles conditions (null conditions, rows that
    are chosen, exported graphs) need not know of tokens: the vector comes first, the tokens of all
    frames lie flattened behind it, and the network, which is built with their numbers, takes them
    apart.

    Args:
        cloud: the point-cloud encoder.
        state: the robot-state encoder.
        n_obs_steps: To.
        fusion: registered name, None concatenates.
        history: registered name, None stacks the frames.
        tokens: hand the cloud's tokens to the network, if it has any.
        task: what says which of several tasks is to be done; None for a policy of one.
        relative: how points are seen from places of the state before they are encoded; None: not.

    Attributes:
        vector_dim: size of the condition's vector.
        tokens: number of tokens behind it, To · K, or 0. token_dim: size of one.
        output_dim: of all of it, C.

    Raises:
        ConfigError: a name is unknown, or the fusion needs tokens that the cloud does not have.
    """

    def __init__(
        self,
        cloud: CloudEncoder,
        state: StateEncoder,
        *,
        n_obs_steps: int,
        fusion: str | None = None,
        history: str | None = None,
        tokens: bool = False,
        task: TaskCondition | None = None,
        relative: RelativePoints | None = None,
    ) -> None:
        super().__init__()
        for name, given in (("fusion", fusion), ("history", history)):
            check_type(name, given, str | None)
        self.cloud = cloud
        self.state = state
        self.fusion = FUSIONS.build(
            fusion or "concatenation", cloud=cloud, state=state, tokens=tokens
        )
        self.history = HISTORIES.build(
            history or "stacking", dim=self.fusion.output_dim, n_obs_steps=n_obs_steps
        )
        self.plain = fusion is None and history is None
        self.vector_dim = self.history.output_dim + (0 if task is None else task.output_dim)
        self.token_dim = cloud.token_dim if tokens else 0
        self.tokens = n_obs_steps * cloud.tokens if tokens else 0
        self.output_dim = self.vector_dim + self.tokens * self.token_dim
        if self.tokens:
            self.token_place = nn.Parameter(torch.randn(n_obs_steps, 1, self.token_dim) * 0.1)
        self.task = task
        self.relative = relative

    def forward(
        self,
        point_cloud: torch.Tensor,
        agent_pos: torch.Tensor,
        frame: torch.Tensor | None = None,
        task: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Returns the condition (B, output_dim); arguments as in :meth:`encode`."""
        return self.encode(point_cloud, agent_pos, frame, task).condition

    def encode(
        self,
        point_cloud: torch.Tensor,
        agent_pos: torch.Tensor,
        frame: torch.Tensor | None = None,
        task: torch.Tensor | None = None,
    ) -> Encoded:
        """Encodes a batch of observations.

        Args:
            point_cloud: (B, To, P, C), normalised.
            agent_pos: (B, To, S), normalised.
            frame: (B, To) int64 or None; equal numbers name the same frame, which is encoded once.
            task: (B,) int64, the number of each row's task; None where there is one.

        Raises:
            ConfigError: there are several tasks, and none is named.
        """
        clouds, states = point_cloud.flatten(0, 1), agent_pos.flatten(0, 1)  # (B * To, …)
        place, first = _places(frame, point_cloud)
        if first.shape[0] < clouds.shape[0]:  # not len(), which would fix it in an exported graph
            clouds, states = clouds[first], states[first]
        if self.relative is not None:
            clouds = self.relative(clouds, states)
        shared = self.tokens or self.fusion.needs_tokens
        vector, tokens = self.cloud.with_tokens(clouds) if shared else (self.cloud(clouds), None)
        fused, tokens = self.fusion(vector, self.state(states), tokens)
        condition = self.told(self.history(_each(fused, place)), task)
        if self.tokens:
            assert tokens is not None
            placed = _each(tokens, place) + self.token_place  # (B, To, K, D)
            condition = torch.cat([condition, placed.flatten(1)], dim=1)
        return Encoded(condition, vector, fused, place, first)

    def told(self, vector: torch.Tensor, task: torch.Tensor | None = None) -> torch.Tensor:
        """Puts the task's part behind the frames' vector (B, V), if there are several tasks."""
        if self.task is None:
            return vector
        return torch.cat([vector, self.task(task, vector.shape[0])], dim=1)


def build_observation_encoder(
    options: Mapping[str, Any],
    *,
    point_dim: int,
    state_dim: int,
    n_obs_steps: int,
    tokens: bool,
    clouds: int = 1,
    tasks: int = 0,
    task: Mapping[str, Any] | None = None,
) -> ObservationEncoder:
    """Builds it from the encoder's options as a preset has them.

    Args:
        options: registered name under ``name`` and the options of the cloud's encoder; beside them
            ``state``, the options of the state's, the names of ``fusion`` and ``history``,
            ``relative_to``, positions in the state that points are seen from too, or with
            ``relative_alone`` only, ``relative_near_m``, widths that this is magnified within, and
            ``needs_color``, which refuses points without colors.
        point_dim: values per point.
        state_dim: S.
        n_obs_steps: To.
        tokens: whether the network can use tokens.
        clouds: K, how many lie in turns in a point cloud, each for an encoder of its own; it is
            what ``options`` say under ``clouds``, settled.
        tasks: number of tasks to tell apart; 0 for a policy that is told none.
        task: options of what tells them apart, registered name under ``name``.

    Raises:
        ConfigError: a name or an option is unknown, parts do not fit one another, or there are no
            colors where they are needed.
    """
    own = dict(options)
    state_options = parse_options(StateOptions, own.pop("state", None))
    combined = {key: own.pop(key, None) for key in ("fusion", "history")}
    own.pop("clouds", None)
    if own.pop("needs_color", False) and point_dim != XYZRGB:
        raise ConfigError(
            "this encoder sees the colors of points",
            received=f"{point_dim} values per point",
            remedy="add policy.color=true, or use encoder=pointnet",
        )
    relative = build_relative_points(
        own.pop("relative_to", None),
        state_dim=state_dim,
        alone=own.pop("relative_alone", False),
        near_m=own.pop("relative_near_m", None),
    )
    seen_dim = point_dim + (0 if relative is None else relative.added)
    build = functools.partial(ENCODERS.build, **own, point_dim=seen_dim)
    cloud = build() if clouds == 1 else Apart(build, clouds)
    state = StateEncoder(state_options, state_dim=state_dim)
    told = (
        TASK_CONDITIONS.build(**dict(task or {"name": "embedding"}), tasks=tasks) if tasks else None
    )
    return ObservationEncoder(
        cloud,
        state,
        n_obs_steps=n_obs_steps,
        tokens=tokens and cloud.tokens > 0,
        task=told,
        relative=relative,
        **combined,
    )


def _places(
    frame: torch.Tensor | None, point_cloud: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which frame stands where, (B, To), and one place (F,) in (B · To) of each."""
    batch, steps = point_cloud.shape[:2]
    every = torch.arange(batch * steps, device=point_cloud.device)
    if frame is None:
        return every.view(batch, steps), every
    unique, place = torch.unique(frame, return_inverse=True)
    if len(unique) == frame.numel():
        return every.view(batch, steps), every
    first = every.new_empty(len(unique))
    first[place.flatten()] = every
    return place, first


def _each(features: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Features (F, …) of frames at their places (B, To) → (B, To, …)."""
    if features.shape[0] == place.numel():
        return features.unflatten(0, place.shape)
    # index_select: its gradient adds up in a fixed order on a CPU, that of indexing does not.
    return features.index_select(0, place.flatten()).unflatten(0, place.shape)
