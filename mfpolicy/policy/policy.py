"""Policy: normaliser + encoder + network + objective, from observation to action chunk."""

from __future__ import annotations

import copy
import dataclasses
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mfpolicy import objectives
from mfpolicy.data.normalizer import Normalizer
from mfpolicy.objectives.reward import Reward, best_of_chunks
from mfpolicy.objectives.tilting import Tilting
from mfpolicy.objectives.velocity import ConditionalVelocity
from mfpolicy.options import check_range
from mfpolicy.policy.observation import checked_field, frame_gap
from mfpolicy.policy.parts import build_encoder, build_heads, build_network
from mfpolicy.policy.selection import candidates, starting_noise
from mfpolicy.policy.spec import PolicySpec
from mfpolicy.policy.tasks import task_numbers
from mfpolicy.types import Batch, Observation

if TYPE_CHECKING:
    from mfpolicy.deployment import Runtime

MAX_NOISE_SCALE = 100.0
DRAWING_WEIGHTS = threading.Lock()
"""Held while a policy is built: its layers draw from PyTorch's global generator, which threads
share, and a seeded draw must not meet another."""


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
        self.encoder = build_encoder(spec)
        if self.encoder.relative is not None:
            self.encoder.relative.fit(self.normalizer.point_cloud, self.normalizer.agent_pos)
        self.objective = objectives.build(**spec.part("objective"))
        self.network = build_network(spec, self.encoder, self.objective)
        self.null = (
            nn.Parameter(torch.zeros(1, self.encoder.output_dim))
            if self.objective.needs_null
            else None
        )
        self.auxiliary = build_heads(spec, self.encoder)  # last: others draw the same without
        # in tuples, they are none of the policy's own modules
        self._teacher: tuple[Policy, ...] = ()
        self._average: tuple[Policy, ...] = ()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.normalizer.action.scale.device

    def loss(
        self, batch: Batch, generator: torch.Generator | None = None, *, draws: int = 1
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Returns the training loss of a batch in environment units, and diagnostics.

        Args:
            batch: B windows.
            generator: draws noise and times.
            draws: of noise and times for each window, whose observation is encoded once.

        Raises:
            ConfigError: the objective learns from a teacher, and :meth:`learn_from` gave none.
        """
        seen = self._normalised(batch)
        encoded = self.encoder.encode(seen.point_cloud, seen.agent_pos, seen.frame, seen.task)
        velocity = self._under(encoded.condition, batch)
        if self.objective.needs_teacher and self._teacher:
            with torch.no_grad():
                teacher = self._teacher[0]
                velocity.teacher = teacher.objective.at_scale(teacher.velocity(batch))
        if self.objective.needs_average and self._average:
            with torch.no_grad():
                velocity.average = self._average[0].velocity(batch)
        action = seen.action
        if draws > 1:
            velocity, action = velocity.repeated(draws), action.repeat(draws, 1, 1)
        loss, diagnostics = self.objective.loss(velocity, action, generator)
        for name, head in self.auxiliary.items():
            own = head(encoded, seen)
            loss = loss + head.weight * own  # type: ignore[operator]
            diagnostics[f"auxiliary_{name}"] = own.detach()
        return loss, diagnostics

    def learn_from(self, teacher: Policy) -> None:
        """Shows the objective the velocity of ``teacher`` in :meth:`loss`; the teacher is frozen.

        It is neither trained nor saved with the policy, which needs it no more once it is trained.
        Both must be on one device and normalise actions alike.
        """
        self._teacher = (teacher.eval().requires_grad_(False),)

    def follow(self, average: Policy) -> None:
        """Shows the objective the velocity of ``average``, this policy with averaged weights."""
        self._average = (average.eval().requires_grad_(False),)

    def velocity(self, batch: Batch) -> ConditionalVelocity:
        """Returns the network under the observations of a batch in environment units."""
        seen = self._normalised(batch)
        encoded = self.encoder(seen.point_cloud, seen.agent_pos, seen.frame, seen.task)
        return self._under(encoded, batch)

    def for_task(self, task: str) -> Policy:
        """Returns the policy that does this one of its tasks and need not be told so.

        It decides as this one does when it is told the task, and is an ordinary policy of one task:
        saved, compiled, exported and served as any. Its weights are copies.

        Args:
            task: ``suite/name``, one of ``policy.spec.tasks``.

        Raises:
            TaskError: the policy was not trained for it; the message gives the nearest.

        Example:
            >>> policy.for_task("metaworld/drawer-open").compile()      # doctest: +SKIP
        """
        single = copy.copy(self)
        single._teacher = single._average = ()  # seen in training alone
        single = copy.deepcopy(single)
        single.spec = self.spec.for_task(task)
        if self.encoder.task is not None:
            single.encoder.task = self.encoder.task.only(self.spec.tasks.index(task))
        return single

    def _normalised(self, batch: Batch) -> Batch:
        return dataclasses.replace(
            batch,
            point_cloud=self.normalizer.point_cloud(batch.point_cloud),
            agent_pos=self.normalizer.agent_pos(batch.agent_pos),
            action=self.normalizer.action(batch.action),
        )

    def _under(self, encoded: torch.Tensor, batch: Batch) -> ConditionalVelocity:
        # under autocast, what du/dt takes must not stay in bfloat16
        condition = encoded.to(batch.action.dtype)
        null = self.network.prepare(self.null) if self.null is not None else None
        return ConditionalVelocity(
            self.network,
            self.network.prepare(condition).to(condition.dtype),
            null=null.to(condition.dtype) if null is not None else None,
            condition=condition[:, : self.encoder.vector_dim],
            gap=frame_gap(batch),
        )

    @torch.no_grad()
    def predict(
        self,
        observation: Observation | Mapping[str, Any],
        *,
        steps: int | None = None,
        noise: torch.Tensor | None = None,
        noise_scale: float = 1.0,
        generator: torch.Generator | None = None,
        guidance_scale: float | None = None,
        best_of: int = 1,
        reward: Reward | None = None,
        tilting: Tilting | None = None,
    ) -> torch.Tensor:
        """Turns an observation into an action chunk.

        Args:
            observation: point_cloud (B, To, P, 3) in metres in the world frame, (B, To, P, 6) with
                colors from 0 to 255 for a policy that sees them, and agent_pos (B, To, S), numpy
                or torch.
            steps: number of network evaluations (NFE); None takes the objective's default, 1 for
                one-step objectives.
            noise: (B, Th, A), distributed as the objective's noise, (B, N, Th, A) for N candidates;
                the same noise gives the same actions, unless sampler or tilting draw more of it.
            noise_scale: factor on the noise that a chunk starts from; 0 leaves its centre.
            generator: draws the noise where none is given.
            guidance_scale: w of a network that takes it as an input; None takes the objective's.
            best_of: N; of N chunks for each observation, evaluated in one batch with the encoder
                run once, the one with the highest reward is returned.
            reward: of candidates (B, N, Ta, A) in the environment's units → (B, N).
            tilting: in place of ``best_of``, draws a chunk of p(x) e^reward.

        Returns:
            Actions (B, Ta, A) in the environment's units, on the policy's device.

        Raises:
            ObservationError: a key is missing, a shape does not fit, a value is not finite, or the
                policy has several tasks and is told none, or another.
            ConfigError: the objective cannot sample so, options do not go together, or the
                reward is not finite or of another shape.

        Example:
            >>> slow = lambda actions: -actions.square().sum((-2, -1))
            >>> policy.predict(observation, best_of=16, reward=slow)    # doctest: +SKIP
        """
        return self.decode(
            self.encode(self.prepare(observation)),
            steps=steps,
            noise=noise,
            noise_scale=noise_scale,
            generator=generator,
            guidance_scale=guidance_scale,
            best_of=best_of,
            reward=reward,
            tilting=tilting,
        )

    def compile(  # type: ignore[override]
        self,
        *,
        device: str | torch.device = "cpu",
        batch: int = 1,
        backend: str = "auto",
        precision: str = "float32",
        threads: int | None = None,
        steps: int | None = None,
        noise_scale: float = 1.0,
        guidance_scale: float | None = None,
    ) -> Runtime:
        """Returns the policy compiled for deployment: host observation in, host actions out.

        In place of :meth:`torch.nn.Module.compile`. Arguments, errors and what it returns are
        those of :class:`mfpolicy.deployment.Runtime`.

        Example:
            >>> decide = policy.compile(precision="bfloat16")    # doctest: +SKIP
            >>> actions = decide(observation)                    # doctest: +SKIP
        """
        from mfpolicy.deployment import Runtime

        return Runtime(
            self,
            device=device,
            batch=batch,
            backend=backend,
            precision=precision,
            threads=threads,
            steps=steps,
            noise_scale=noise_scale,
            guidance_scale=guidance_scale,
        )

    @torch.no_grad()
    def prepare(self, observation: Observation | Mapping[str, Any]) -> Observation:
        """Checks an observation, moves it to the policy's device and normalises it."""
        spec = self.spec
        sizes = (None, spec.n_obs_steps, spec.points, spec.point_dim)
        cloud = checked_field(observation, "point_cloud", sizes, self.device)
        sizes = (len(cloud), spec.n_obs_steps, spec.state_dim)
        state = checked_field(observation, "agent_pos", sizes, self.device)
        task = task_numbers(observation, spec, len(cloud), self.device)
        return Observation(
            self.normalizer.point_cloud(cloud), self.normalizer.agent_pos(state), task
        )

    @torch.no_grad()
    def encode(self, prepared: Observation) -> torch.Tensor:
        """Turns what :meth:`prepare` returned into the condition (B, C)."""
        return self.encoder(prepared.point_cloud, prepared.agent_pos, task=prepared.task)

    @torch.no_grad()
    def decode(
        self,
        condition: torch.Tensor,
        *,
        steps: int | None = None,
        noise: torch.Tensor | None = None,
        noise_scale: float = 1.0,
        generator: torch.Generator | None = None,
        guidance_scale: float | None = None,
        best_of: int = 1,
        reward: Reward | None = None,
        tilting: Tilting | None = None,
    ) -> torch.Tensor:
        """Turns a condition (B, C) into actions (B, Ta, A); arguments as in :meth:`predict`."""
        check_range("noise_scale", noise_scale, 0, MAX_NOISE_SCALE)
        count = candidates(
            self.objective, steps=steps, best_of=best_of, reward=reward, tilting=tilting
        )
        shape = (len(condition), count, self.spec.horizon, self.spec.action_dim)
        e = starting_noise(shape, self.objective, condition, noise, generator) * noise_scale
        velocity = ConditionalVelocity(self.network, self.network.prepare(condition))
        if count > 1:
            rows = torch.arange(len(condition), device=condition.device)
            velocity = velocity.rows(rows.repeat_interleave(count))
        steered = self.objective.at_scale(velocity, guidance_scale)
        if tilting is not None and reward is not None:
            box = self.objective.noise.contain
            chunk = tilting.sample(steered, e, lambda z: reward(self.executed(box(z))), generator)
            return self.executed(box(chunk))
        chunks = self.objective.sample(steered, e.flatten(0, 1), steps, generator)
        actions = self.executed(chunks).unflatten(0, e.shape[:2])  # (B, N, Ta, A)
        return actions[:, 0] if reward is None else best_of_chunks(actions, reward)

    def executed(self, chunks: torch.Tensor) -> torch.Tensor:
        """Returns the executed part of normalised chunks (…, Th, A) in environment units."""
        first = self.spec.n_obs_steps - 1
        executed = chunks[..., first : first + self.spec.n_action_steps, :]
        return self.normalizer.action.inverse(executed)
