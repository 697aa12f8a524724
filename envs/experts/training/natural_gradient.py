"""Demonstration-augmented natural policy gradient, DAPG (Rajeswaran et al., 2018).

The gradient of the advantage-weighted likelihood, with the demonstrations added at a weight that
decays, is preconditioned by the Fisher matrix (conjugate gradients, Fisher-vector products) and
scaled to a given mean KL divergence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp, vjp

from envs.experts.training.policy import GaussianPolicy


@dataclass(frozen=True)
class StepSettings:
    """How far and how exactly a step goes.

    Attributes:
        kl: divergence of a step. damping: added to the Fisher matrix.
        iterations: of conjugate gradients. fisher_rows: observations its products use.
    """

    kl: float = 0.05
    damping: float = 1e-3
    iterations: int = 12
    fisher_rows: int = 4000


@dataclass(frozen=True)
class Weighted:
    """Pairs whose likelihood a step raises by their weights (N,): (N, O), (N, A)."""

    observations: Tensor
    actions: Tensor
    weights: Tensor


def natural_step(policy: GaussianPolicy, pairs: Weighted, settings: StepSettings) -> float:
    """Moves ``policy`` by one natural gradient step; returns the KL divergence it came to."""
    names = [name for name, _ in policy.named_parameters()]
    parameters = [parameter for _, parameter in policy.named_parameters()]
    likelihood = policy.log_likelihood(pairs.observations, pairs.actions)
    gradient = torch.autograd.grad((pairs.weights * likelihood).mean(), parameters)
    flat = torch.cat([part.reshape(-1) for part in gradient]).detach()
    every = max(1, len(pairs.observations) // settings.fisher_rows)
    rows = pairs.observations[::every]
    product = _fisher_product(policy, names, rows, settings.damping)
    direction = _conjugate_gradient(product, flat, settings.iterations)
    curvature = float(direction @ product(direction))
    scale = (2 * settings.kl / max(curvature, 1e-12)) ** 0.5
    return _move(policy, parameters, direction * scale, rows, settings.kl)


def _fisher_product(
    policy: GaussianPolicy, names: list[str], rows: Tensor, damping: float
) -> Callable[[Tensor], Tensor]:
    """The product with F: Jᵀ Σ⁻¹ J / N for the mean of a Gaussian, 2 for each log deviation."""
    values = {name: policy.get_parameter(name).detach() for name in names}
    buffers = dict(policy.named_buffers())
    network = {name: value for name, value in values.items() if name != "log_std"}
    precision = torch.exp(-2 * values["log_std"])
    sizes = [values[name].numel() for name in names]

    def mean(weights: dict[str, Tensor]) -> Tensor:
        return functional_call(policy, {**weights, **buffers}, (rows,))

    def product(vector: Tensor) -> Tensor:
        parts = dict(zip(names, vector.split(sizes), strict=True))
        tangent = {name: parts[name].view_as(value) for name, value in network.items()}
        moved = jvp(mean, (network,), (tangent,))[1]
        (cotangent,) = vjp(mean, network)[1](moved * precision / len(rows))
        whole = [
            2 * parts[name] if name == "log_std" else cotangent[name].reshape(-1) for name in names
        ]
        return torch.cat(whole) + damping * vector

    return product


def _conjugate_gradient(
    product: Callable[[Tensor], Tensor], target: Tensor, iterations: int
) -> Tensor:
    x, residual = torch.zeros_like(target), target.clone()
    direction, size = residual.clone(), float(residual @ residual)
    for _ in range(iterations):
        if size < 1e-20:
            break
        moved = product(direction)
        step = size / float(direction @ moved)
        x += step * direction
        residual -= step * moved
        new_size = float(residual @ residual)
        direction = residual + (new_size / size) * direction
        size = new_size
    return x


@torch.no_grad()
def _move(
    policy: GaussianPolicy, parameters: list[nn.Parameter], step: Tensor, rows: Tensor, kl: float
) -> float:
    """Takes the step, halved while the true divergence is more than twice what was meant."""
    before, log_std = policy(rows), policy.log_std.clone()
    start = nn.utils.parameters_to_vector(parameters)
    reached = float("nan")
    for _ in range(8):
        nn.utils.vector_to_parameters(start + step, parameters)
        policy.bound_std()
        ratio = torch.exp(2 * (log_std - policy.log_std))
        shift = ((policy(rows) - before) * torch.exp(-policy.log_std)).square().sum(1).mean()
        reached = float(0.5 * (ratio - 1 - ratio.log()).sum() + 0.5 * shift)
        if reached <= 2 * kl:
            return reached
        step = step / 2
    nn.utils.vector_to_parameters(start, parameters)
    return 0.0
