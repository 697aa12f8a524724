"""The policy's side of a request: a decision that agrees with what is being executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mfpolicy.deployment.chunking.executor import ChunkExecutor
from mfpolicy.deployment.chunking.request import Request
from mfpolicy.deployment.chunking.warm_start import WarmStart
from mfpolicy.errors import ConfigError
from mfpolicy.objectives.reward import Reward
from mfpolicy.objectives.velocity import ConditionalVelocity, Velocity

if TYPE_CHECKING:
    from mfpolicy.policy import Policy


@torch.no_grad()
def decode_steered(
    policy: Policy,
    condition: torch.Tensor,
    request: Request,
    *,
    steps: int | None = None,
    generator: torch.Generator | None = None,
    noise_scale: float = 1.0,
    guidance_scale: float | None = None,
) -> torch.Tensor:
    """Decides as ``request`` asks, on the condition (1, C) of one observation.

    Args:
        policy: the policy.
        condition: what ``policy.encode`` returned.
        request: of an executor.
        steps: network evaluations (NFE); None takes the objective's default.
        generator: draws the noise.
        noise_scale: factor on the noise.
        guidance_scale: of a network that takes it as an input.

    Returns:
        (1, Ta, A) in the environment's units.

    Raises:
        ConfigError: the policy's objective cannot do what the request asks.
    """
    rest: dict[str, Any] = {"steps": steps, "guidance_scale": guidance_scale}
    if request.warm_time is not None:
        check_warm(policy)
        noise = noise_scale * _draw(policy, condition, generator)
        return _from_plan(policy, condition, request, noise, guidance_scale)
    if not (request.steered and policy.objective.stochastic):  # noise would change nothing
        return policy.decode(condition, generator=generator, noise_scale=noise_scale, **rest)
    plan, weights = _overlap(policy, request)
    rest |= {"reward": coherence(policy, plan, weights)}
    if request.corrections:
        noise = noise_scale * _draw(policy, condition, generator)
        ends = _corrected(policy, condition, noise, request, plan, weights, rest)
        return policy.decode(condition, best_of=2, noise=ends, **rest)
    return policy.decode(
        condition,
        best_of=request.candidates,
        generator=generator,
        noise_scale=noise_scale,
        **rest,
    )


def check_executor(policy: Policy, executor: ChunkExecutor) -> None:
    """Refuses an executor that cannot work with the policy, before the first decision.

    Raises:
        ConfigError: its chunks are too short, or its objective cannot start from a plan.
    """
    executor.check(policy.spec.n_action_steps)
    if isinstance(executor, WarmStart):
        check_warm(policy)


def coherence(policy: Policy, plan: torch.Tensor, weights: torch.Tensor) -> Reward:
    """The reward −Σ w_i ‖x_i − plan_i‖² of candidates, on normalised actions.

    Args:
        policy: whose normaliser is used.
        plan: (K, A) normalised.
        weights: (K,).
    """

    def reward(actions: torch.Tensor) -> torch.Tensor:  # (B, N, Ta, A) → (B, N)
        x = policy.normalizer.action(actions)[..., : len(plan), :]
        return -(weights[:, None] * (x - plan).square()).sum((-2, -1))

    return reward


def check_warm(policy: Policy) -> None:
    """Refuses a warm start of a policy whose objective has not learnt it.

    Raises:
        ConfigError: u(z, 0, t) is not learnt for every t, or the path is not a straight line.
    """
    objective = policy.objective
    straight = getattr(getattr(objective, "path", None), "straight", True)
    if not (objective.learns_flow_map and straight):
        raise ConfigError(
            "a warm start needs an objective that learns u(z, r, t) on every interval of straight "
            "paths",
            received=policy.spec.objective["name"],
            remedy="train with objective=meanflow, or use execution=real_time_chunking",
        )


def _from_plan(
    policy: Policy,
    condition: torch.Tensor,
    request: Request,
    noise: torch.Tensor,
    guidance_scale: float | None,
) -> torch.Tensor:
    """One jump from the noised plan, x̂ = z_t − t u(z_t, 0, t)."""
    t = request.warm_time or 1.0
    z = (1 - t) * _shifted(policy, request).to(noise) + t * noise  # (1, Th, A)
    velocity = _velocity(policy, condition, guidance_scale)
    time = torch.full((len(z),), t, device=z.device, dtype=z.dtype)
    chunk = z - t * velocity(z, torch.zeros_like(time), time)
    return policy.executed(policy.objective.noise.contain(chunk))


def _shifted(policy: Policy, request: Request) -> torch.Tensor:
    """The plan as a normalised chunk (1, Th, A) from the first observed step on."""
    spec, plan = policy.spec, request.plan
    before = plan[:1] if request.last is None else request.last[None]
    after = spec.horizon - (spec.n_obs_steps - 1)
    plan = plan[:after]
    parts = [before] * (spec.n_obs_steps - 1) + [plan] + [plan[-1:]] * (after - len(plan))
    chunk = torch.from_numpy(np.concatenate(parts)).to(policy.device)
    return policy.normalizer.action(chunk)[None]


def _corrected(
    policy: Policy,
    condition: torch.Tensor,
    noise: torch.Tensor,
    request: Request,
    plan: torch.Tensor,
    weights: torch.Tensor,
    rest: dict[str, Any],
) -> torch.Tensor:
    """The best and the last noise (1, 2, Th, A) of gradient steps towards the plan.

    e ← e − η ∂/∂e ½ Σ w_i ‖x̂_i(e) − plan_i‖²: the pseudo-inverse guidance of RTC, which pulls the
    error back through the denoiser, with the whole sampler in the denoiser's place. A step after
    which they agree less is taken back and η halved, since the right η depends on how much of the
    noise the policy lets through.
    """
    first, rate = policy.spec.n_obs_steps - 1, request.correction_rate
    best, best_gap, slope = noise, float("inf"), noise
    with torch.inference_mode(False), torch.enable_grad():
        velocity = _velocity(policy, condition.clone(), rest["guidance_scale"])
        e, plan, weights = noise.clone(), plan.clone(), weights.clone()
        for _ in range(request.corrections):
            e = e.detach().requires_grad_()
            x = policy.objective.sample(velocity, e, rest["steps"])[0, first : first + len(plan)]
            gap = (weights[:, None] * (x - plan).square()).sum() / 2
            if gap.item() < best_gap:
                best, best_gap = e.detach(), gap.item()
                slope = torch.autograd.grad(gap, e)[0]
            else:
                rate /= 2
            e = policy.objective.noise.contain(best - rate * slope)
        return torch.stack([best, e.detach()], dim=1)


def _overlap(policy: Policy, request: Request) -> tuple[torch.Tensor, torch.Tensor]:
    """The plan (K, A), normalised, and its weights (K,), as far as the answer reaches."""
    reach = min(len(request.plan), policy.spec.n_action_steps)
    plan = torch.from_numpy(request.plan[:reach].copy()).to(policy.device)
    weights = torch.as_tensor(request.weights, dtype=torch.float32)[:reach].to(policy.device)
    return policy.normalizer.action(plan), weights


def _draw(
    policy: Policy, condition: torch.Tensor, generator: torch.Generator | None
) -> torch.Tensor:
    shape = (len(condition), policy.spec.horizon, policy.spec.action_dim)
    return policy.objective.noise.draw(shape, device=policy.device, generator=generator)


def _velocity(policy: Policy, condition: torch.Tensor, guidance_scale: float | None) -> Velocity:
    plain = ConditionalVelocity(policy.network, policy.network.prepare(condition))
    return policy.objective.at_scale(plain, guidance_scale)
