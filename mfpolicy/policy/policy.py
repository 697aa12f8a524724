"""Policy: normaliser + encoder + network + objective, from observation to action chunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mfpolicy import encoders, networks, objectives
from mfpolicy.data.normalizer import Normalizer
from mfpolicy.encoders.observation import ObservationEncoder
from mfpolicy.encoders.state import StateEncoder, StateOptions
from mfpolicy.errors import ConfigError, ObservationError
from mfpolicy.objectives.velocity import ConditionalVelocity
from mfpolicy.options import parse_options
from mfpolicy.policy.spec import PolicySpec
from mfpolicy.types import Batch, Observation


class Policy(nn.Module):
    """A visuomotor policy.

    The chunk starts at the first observed step, as in Diffusion Policy; executed are its
    ``n_action_steps`` entries from the last observed step on.

    Args:
        spec: what to build.
        normalizer: fitted to the training data; the identity if left out.

    Example:
        >>> import mfpolicy, torch
        >>> policy = mfpolicy.build_policy("mp1_small", point_dim=3, state_dim=9, action_dim=4)
        >>> observation = {"point_cloud": torch.zeros(1, 2, policy.spec.points, 3),
        ...                "agent_pos": torch.zeros(1, 2, 9)}
        >>> policy.predict(observation).shape
        torch.Size([1, 3, 4])
    """

    def __init__(self, spec: PolicySpec, normalizer: Normalizer | None = None) -> None:
        super().__init__()
        self.spec = spec
        dims = (spec.point_dim, spec.state_dim, spec.action_dim)
        self.normalizer = normalizer if normalizer is not None else Normalizer.identity(*dims)
        encoder = _named("encoder", spec.encoder)
        state_options = parse_options(StateOptions, encoder.pop("state", None))
        cloud = encoders.build(**encoder, point_dim=spec.point_dim)
        state = StateEncoder(state_options, state_dim=spec.state_dim)
        self.encoder = ObservationEncoder(cloud, state, n_obs_steps=spec.n_obs_steps)
        self.network = networks.build(
            **_named("network", spec.network),
            action_dim=spec.action_dim,
            horizon=spec.horizon,
            condition_dim=self.encoder.output_dim,
        )
        self.objective = objectives.build(**_named("objective", spec.objective))
        self.null = (
            nn.Parameter(torch.zeros(1, self.encoder.output_dim))
            if self.objective.needs_null
            else None
        )
        self._teacher: tuple[Policy, ...] = ()  # in a tuple, it is none of the policy's own modules

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.normalizer.action.scale.device

    def loss(
        self, batch: Batch, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Returns the training loss of a batch in environment units, and diagnostics.

        Raises:
            ConfigError: the objective learns from a teacher, and :meth:`learn_from` gave none.
        """
        velocity = self.velocity(batch)
        if self.objective.needs_teacher and self._teacher:
            with torch.no_grad():
                velocity.teacher = self._teacher[0].velocity(batch)
        return self.objective.loss(velocity, self.normalizer.action(batch.action), generator)

    def learn_from(self, teacher: Policy) -> None:
        """Shows the objective the velocity of ``teacher`` in :meth:`loss`; the teacher is frozen.

        It is neither trained nor saved with the policy, which needs it no more once it is trained.
        Both must be on one device and normalise actions alike.
        """
        self._teacher = (teacher.eval().requires_grad_(False),)

    def velocity(self, batch: Batch) -> ConditionalVelocity:
        """Returns the network under the observations of a batch in environment units."""
        condition = self.encoder(
            self.normalizer.point_cloud(batch.point_cloud),
            self.normalizer.agent_pos(batch.agent_pos),
            batch.frame,
        )
        return ConditionalVelocity(
            self.network,
            self.network.prepare(condition),
            null=self.network.prepare(self.null) if self.null is not None else None,
            condition=condition,
            gap=_frame_gap(batch),
        )

    @torch.no_grad()
    def predict(
        self,
        observation: Observation | Mapping[str, Any],
        *,
        steps: int | None = None,
        noise: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Turns an observation into an action chunk.

        Args:
            observation: point_cloud (B, To, P, 3) in metres in the world frame and agent_pos
                (B, To, S), numpy or torch.
            steps: number of network evaluations (NFE); None takes the objective's default, 1 for
                one-step objectives.
            noise: (B, Th, A) standard normal noise; the same noise gives the same actions.
            generator: draws the noise where none is given.

        Returns:
            Actions (B, Ta, A) in the environment's units, on the policy's device.

        Raises:
            ObservationError: a key is missing, a shape does not fit, or a value is not finite.
            ConfigError: the objective cannot sample with so many steps.
        """
        condition = self.encode(self.prepare(observation))
        return self.decode(condition, steps=steps, noise=noise, generator=generator)

    @torch.no_grad()
    def prepare(self, observation: Observation | Mapping[str, Any]) -> Observation:
        """Checks an observation, moves it to the policy's device and normalises it."""
        spec = self.spec
        cloud = self._checked(
            observation, "point_cloud", (None, spec.n_obs_steps, spec.points, spec.point_dim)
        )
        state = self._checked(
            observation, "agent_pos", (len(cloud), spec.n_obs_steps, spec.state_dim)
        )
        return Observation(self.normalizer.point_cloud(cloud), self.normalizer.agent_pos(state))

    @torch.no_grad()
    def encode(self, prepared: Observation) -> torch.Tensor:
        """Turns what :meth:`prepare` returned into the condition (B, C)."""
        return self.encoder(prepared.point_cloud, prepared.agent_pos)

    @torch.no_grad()
    def decode(
        self,
        condition: torch.Tensor,
        *,
        steps: int | None = None,
        noise: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Turns a condition (B, C) into actions (B, Ta, A); arguments as in :meth:`predict`."""
        shape = (len(condition), self.spec.horizon, self.spec.action_dim)
        if noise is None:
            device = generator.device if generator is not None else condition.device
            noise = torch.randn(shape, device=device, generator=generator)
        if tuple(noise.shape) != shape:
            raise ObservationError(
                f"noise must have shape (B, Th, A) = {shape}", received=tuple(noise.shape)
            )
        velocity = ConditionalVelocity(self.network, self.network.prepare(condition))
        chunk = self.objective.sample(velocity, noise.to(condition), steps, generator)
        first = self.spec.n_obs_steps - 1
        executed = chunk[:, first : first + self.spec.n_action_steps]
        return self.normalizer.action.inverse(executed)

    def _checked(
        self,
        observation: Observation | Mapping[str, Any],
        key: str,
        shape: tuple[int | None, ...],
    ) -> torch.Tensor:
        fields = observation if isinstance(observation, Mapping) else vars(observation)
        if key not in fields:
            raise ObservationError(
                f"an observation must have the key {key!r}", received=sorted(fields)
            )
        try:
            value = torch.as_tensor(fields[key])
        except (TypeError, ValueError, RuntimeError) as error:
            raise ObservationError(
                f"{key} must be an array of numbers", received=type(fields[key]).__name__
            ) from error
        fits = value.ndim == len(shape) and all(
            want in (None, got) for want, got in zip(shape, value.shape, strict=True)
        )
        if not fits or not value.numel():
            raise ObservationError(
                _shape_rule(key, shape), received=tuple(value.shape), remedy=_REMEDY[key]
            )
        value = value.to(self.device, torch.float32)
        if not bool(torch.isfinite(value).all()):
            bad = int((~torch.isfinite(value)).sum())
            raise ObservationError(
                f"{key} must be finite",
                received=f"{bad} NaN or infinite values",
                remedy="drop the frame, or the points, before the policy sees them",
            )
        return value


_REMEDY = {
    "point_cloud": "crop and sample each cloud with mfpolicy.pointcloud.sample, stack the last To "
    "frames, and add a batch axis",
    "agent_pos": "stack the states of the last To frames and add a batch axis",
}


def _shape_rule(key: str, shape: tuple[int | None, ...]) -> str:
    names = ("B", "To", "P", "C") if key == "point_cloud" else ("B", "To", "S")
    sizes = ", ".join("any" if size is None else str(size) for size in shape)
    return f"{key} must have shape ({', '.join(names)}) = ({sizes})"


def _named(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    if "name" not in options:
        raise ConfigError(f"the {kind} needs a name", received=dict(options))
    return dict(options)


def _frame_gap(batch: Batch) -> torch.Tensor:
    same = batch.episode[:, None] == batch.episode[None]
    return torch.where(same, (batch.step[:, None] - batch.step[None]).abs(), -1)
