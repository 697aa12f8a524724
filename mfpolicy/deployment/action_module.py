"""A trained policy as one function of tensors: what is compiled and what is exported."""

from __future__ import annotations

import copy

import torch
from torch import nn

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.velocity import ConditionalVelocity
from mfpolicy.options import check_range
from mfpolicy.policy import Policy, PolicySpec
from mfpolicy.policy.policy import MAX_NOISE_SCALE
from mfpolicy.policy.tasks import require_one_task


class ActionModule(nn.Module):
    """(point cloud, robot state, noise) → actions, in environment units, nothing drawn inside.

    It owns a copy of the policy's weights, without gradients.

    Args:
        policy: a trained policy.
        steps: network evaluations (NFE); None takes the objective's default.
        noise_scale: factor on the noise that a chunk starts from.
        guidance_scale: w of a network that takes it as an input; None takes the objective's.

    Raises:
        ConfigError: the objective cannot sample so, or the policy has several tasks.

    Example:
        >>> import mfpolicy
        >>> policy = mfpolicy.build_policy("mp1_small", point_dim=3, state_dim=9, action_dim=4)
        >>> module = ActionModule(policy)
        >>> cloud, state, noise = module.example_inputs(batch=2)
        >>> module(cloud, state, noise).shape
        torch.Size([2, 3, 4])
    """

    def __init__(
        self,
        policy: Policy,
        *,
        steps: int | None = None,
        noise_scale: float = 1.0,
        guidance_scale: float | None = None,
    ) -> None:
        super().__init__()
        check_range("noise_scale", noise_scale, 0, MAX_NOISE_SCALE)
        require_one_task(policy.spec)
        self.policy = copy.deepcopy(policy).eval().requires_grad_(False)
        self.steps = policy.objective.check_steps(steps)
        self.noise_scale = float(noise_scale)
        self.guidance_scale = guidance_scale
        if policy.objective.draws_while_sampling(self.steps):
            raise ConfigError(
                "a sampler that draws noise on its way cannot be compiled or exported",
                received=f"{type(policy.objective).__name__} with steps={self.steps}",
                remedy="use steps=1",
            )

    @property
    def spec(self) -> PolicySpec:
        """What the policy is."""
        return self.policy.spec

    def forward(
        self, point_cloud: torch.Tensor, agent_pos: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """(B, To, P, C) in metres, (B, To, S), (B, Th, A) → actions (B, Ta, A)."""
        return self.decode(self.encode(point_cloud, agent_pos), noise)

    def encode(self, point_cloud: torch.Tensor, agent_pos: torch.Tensor) -> torch.Tensor:
        """(B, To, P, C), (B, To, S) → condition (B, D)."""
        policy = self.policy
        clouds, states = policy.normalizer.point_cloud, policy.normalizer.agent_pos
        return policy.encoder(clouds(point_cloud), states(agent_pos))

    def decode(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """(B, D), (B, Th, A) → actions (B, Ta, A)."""
        policy = self.policy
        velocity = ConditionalVelocity(policy.network, policy.network.prepare(condition))
        steered = policy.objective.at_scale(velocity, self.guidance_scale)
        chunk = policy.objective.sample(steered, noise * self.noise_scale, self.steps)
        return policy.executed(chunk)

    def example_inputs(self, batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Zeros of the shapes that :meth:`forward` takes."""
        spec = self.spec
        points = spec.points or 512
        return (
            torch.zeros(batch, spec.n_obs_steps, points, spec.point_dim),
            torch.zeros(batch, spec.n_obs_steps, spec.state_dim),
            torch.zeros(batch, spec.horizon, spec.action_dim),
        )
