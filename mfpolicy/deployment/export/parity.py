"""Whether an exported policy decides as the policy does, on random inputs within its data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from mfpolicy.data.normalizer import ChannelNormalizer
from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.errors import RunError
from mfpolicy.policy import Policy

BATCHES = (1, 13)
POINTS = 512  # of a policy that takes any number
BOUNDS = {"float32": 1e-4, "float16": 0.005, "int8": 0.05}
"""Largest error of an action relative to the range of the demonstrated actions, by precision:
above it an export is broken. That of a trained policy is measured, see docs/deployment.md."""

Decide = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(B, To, P, C), (B, To, S), (B, Th, A) → actions (B, Ta, A), float32."""


@dataclass(frozen=True)
class Parity:
    """How far an exported policy is from the eager one.

    Attributes:
        error: largest |Δaction| over all inputs and channels, relative to the width of the
            channel's range in the training data.
        bound: largest error that is let through.
        batches: batch sizes that were compared.
    """

    error: float
    bound: float
    batches: tuple[int, ...]


def check_parity(module: ActionModule, decide: Decide, *, precision: str) -> Parity:
    """Compares ``decide`` with ``predict`` of the module's policy, which is on the CPU.

    Args:
        module: what was exported.
        decide: what came of it.
        precision: of the exported weights; it sets the bound.

    Raises:
        RunError: shape or values differ.
    """
    policy, generator = module.policy, torch.Generator().manual_seed(0)
    worst, bound = 0.0, BOUNDS[precision]
    for batch in BATCHES:
        cloud, state, noise = random_inputs(policy, batch, generator)
        expected = policy.predict(
            {"point_cloud": cloud, "agent_pos": state},
            noise=noise,
            steps=module.steps,
            noise_scale=module.noise_scale,
            guidance_scale=module.guidance_scale,
        ).numpy()
        actual = decide(cloud.numpy(), state.numpy(), noise.numpy())
        if actual.shape != expected.shape:
            raise RunError(
                "an exported policy must return actions of the policy's shape",
                received=f"{actual.shape} in place of {expected.shape}",
            )
        error = relative_error(policy, actual, expected).max()
        worst = max(worst, float(error)) if math.isfinite(error) else math.inf
    if not worst <= bound:
        raise RunError(
            f"an exported policy must decide as the policy does, within {bound:g} of the range of "
            f"its actions; nothing was written",
            received=f"{worst:.3g}",
            remedy="use precision=float32, or other versions of torch, onnx and onnxruntime",
        )
    return Parity(worst, bound, BATCHES)


def relative_error(policy: Policy, actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """|actual − expected| of actions (…, A), relative to the width of each channel's range."""
    width = 2 / policy.normalizer.action.scale.numpy()  # (A,)
    return np.abs(actual - expected) / width


def random_inputs(
    policy: Policy, batch: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draws a cloud and a state, uniform over the range of the training data, and noise."""
    spec, normalizer = policy.spec, policy.normalizer
    cloud = (batch, spec.n_obs_steps, spec.points or POINTS, spec.point_dim)
    state = (batch, spec.n_obs_steps, spec.state_dim)
    noise = policy.objective.noise.draw((batch, spec.horizon, spec.action_dim), generator=generator)
    points = _uniform(normalizer.point_cloud, cloud, generator)
    if spec.color:  # an untrained policy's normaliser does not know their range
        colors = points[..., 3:]
        colors.copy_(torch.randint(256, colors.shape, generator=generator))
    return points, _uniform(normalizer.agent_pos, state, generator), noise


def _uniform(
    channels: ChannelNormalizer, shape: tuple[int, ...], generator: torch.Generator
) -> torch.Tensor:
    return channels.inverse(2 * torch.rand(shape, generator=generator) - 1)
