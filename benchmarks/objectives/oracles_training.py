"""One small conditional network and one training loop for every objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.objectives.oracles_data import Oracle
from mfpolicy.networks import Network
from mfpolicy.networks.forward_mode import apply_linear
from mfpolicy.objectives import ConditionalVelocity, Objective
from mfpolicy.training.ema import Ema
from mfpolicy.training.randomness import noise_generator
from mfpolicy.training.schedule import ema_decay, learning_rate_factor

Watch = Callable[[int, Network], None]
"""Called with the number of steps done and the network with averaged weights."""

CPU = torch.device("cpu")


class _Linear(nn.Linear):
    """``nn.Linear``, faster where du/dt is computed."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return apply_linear(lambda x, bias: F.linear(x, self.weight, bias), input, self.bias)


class Mlp(Network):
    """Fully connected: (z, r, t, condition) -> u."""

    def __init__(self, oracle: Oracle, *, width: int, depth: int) -> None:
        super().__init__(action_dim=oracle.action_dim, horizon=oracle.horizon, condition_dim=1)
        sizes = [oracle.dims + 3, *[width] * depth]
        self.hidden = nn.ModuleList(
            _Linear(before, after) for before, after in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.out = _Linear(width, oracle.dims)

    def features(
        self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor, prepared: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        h = torch.cat([z.flatten(1), r[:, None], t[:, None], prepared], dim=1)
        captured = []
        for layer in self.hidden:
            h = nn.functional.silu(layer(h))
            captured.append(h)
        return self.out(h).view_as(z), captured


@dataclass(frozen=True)
class Budget:
    """What every objective gets alike."""

    steps: int = 2000
    batch: int = 256
    width: int = 128
    depth: int = 3
    learning_rate: float = 5e-3
    seed: int = 0


def build_network(oracle: Oracle, budget: Budget) -> Mlp:
    """The network with the budget's initial weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(budget.seed)
        return Mlp(oracle, width=budget.width, depth=budget.depth)


def train(
    objective: Objective,
    oracle: Oracle,
    budget: Budget,
    *,
    teacher: Network | None = None,
    every: int = 0,
    watch: Watch | None = None,
) -> Network:
    """Trains a new network and returns it with averaged weights.

    Batches and their order are the same for every objective; Adam, a short warm-up and a cosine to
    zero, and an average of the weights with the package's default decay. ``teacher`` is what an
    objective that needs one learns from, and what it starts from where it says so. ``watch`` is
    called after ``every`` steps.
    """
    network = build_network(oracle, budget)
    if teacher is not None and objective.teacher is not None and objective.teacher.start:
        network.load_state_dict(teacher.state_dict())
    ema = Ema(network)
    averaged = ema.averaged(network).requires_grad_(False)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    for step in range(budget.steps):
        data = noise_generator(budget.seed + 1, step, CPU)
        condition = oracle.conditions(budget.batch, data)
        actions = oracle.sample(condition, data)
        objective.progress = step / budget.steps
        factor = learning_rate_factor(step, steps=budget.steps, warmup_steps=50)
        optimizer.param_groups[0]["lr"] = budget.learning_rate * factor
        velocity = conditioned(network, condition, teacher=teacher, average=averaged)
        loss, _ = objective.loss(velocity, actions, noise_generator(budget.seed, step, CPU))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ema.update(decay=ema_decay(step, power=0.75, max_decay=0.9999))
        if watch and every and (step + 1) % every == 0:
            watch(step + 1, averaged)
    objective.progress = 1.0
    return averaged


def conditioned(
    network: Network,
    condition: torch.Tensor,
    *,
    teacher: Network | None = None,
    average: Network | None = None,
) -> ConditionalVelocity:
    """The network under conditions (B, 1), with what a policy shows its objective beside it."""
    beside = [
        None if other is None else ConditionalVelocity(other, other.prepare(condition))
        for other in (teacher, average)
    ]
    prepared = network.prepare(condition)
    return ConditionalVelocity(
        network, prepared, condition=condition, teacher=beside[0], average=beside[1]
    )


@torch.no_grad()
def sample(
    objective: Objective,
    network: Network,
    condition: torch.Tensor,
    noise: torch.Tensor,
    steps: int | None = None,
) -> torch.Tensor:
    """Chunks (B, Th, A) for conditions (B, 1) from noise (B, Th, A)."""
    return objective.sample(conditioned(network, condition), noise, steps)
