"""The expert's network while it learns: a Gaussian around a small tanh MLP."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_CLIP = 10.0  # standard deviations; a contact may throw an object far off


class GaussianPolicy(nn.Module):
    """Actions normally distributed about a network of the normalised observation.

    Args:
        mean, scale: (O,) of the observations.
        action_dim: A. width: of the two hidden layers. std: of each action at first.
        least_std: below which exploration never falls.
    """

    def __init__(
        self,
        mean: NDArray[Any],
        scale: NDArray[Any],
        action_dim: int,
        *,
        width: int = 64,
        std: float = 0.3,
        least_std: float = 0.08,
    ) -> None:
        super().__init__()
        self.observation_mean: Tensor
        self.observation_scale: Tensor
        self.register_buffer("observation_mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("observation_scale", torch.as_tensor(scale, dtype=torch.float32))
        last = nn.Linear(width, action_dim)
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.zero_()
        self.layers = nn.Sequential(
            nn.Linear(len(mean), width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), last
        )
        self.log_std = nn.Parameter(torch.full((action_dim,), float(np.log(std))))
        self.least_log_std = float(np.log(least_std))

    def forward(self, observations: Tensor) -> Tensor:
        """(N, A) mean actions of observations (N, O)."""
        x = (observations - self.observation_mean) / self.observation_scale
        return self.layers(x.clamp(-_CLIP, _CLIP))

    def log_likelihood(self, observations: Tensor, actions: Tensor) -> Tensor:
        """(N,) log density of actions (N, A), up to a constant."""
        z = (actions - self(observations)) * torch.exp(-self.log_std)
        return -0.5 * z.square().sum(1) - self.log_std.sum()

    @torch.no_grad()
    def bound_std(self) -> None:
        """Keeps the standard deviation above its least value."""
        self.log_std.clamp_(min=self.least_log_std)

    @property
    def std(self) -> NDArray[np.float32]:
        """(A,) standard deviation of each action."""
        return self.log_std.detach().exp().numpy()

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The mean network as the arrays of an expert's file."""
        linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        found = {
            "observation_mean": self.observation_mean.numpy(),
            "observation_scale": self.observation_scale.numpy(),
        }
        for number, layer in enumerate(linear):
            found[f"weight_{number}"] = layer.weight.detach().numpy().T.copy()
            found[f"bias_{number}"] = layer.bias.detach().numpy().copy()
        return found


def imitate(
    policy: GaussianPolicy,
    observations: Tensor,
    actions: Tensor,
    *,
    epochs: int,
    seed: int,
    rate: float = 1e-3,
) -> float:
    """Fits the mean to actions (N, A) of observations (N, O); returns the last epoch's error."""
    optimizer = torch.optim.Adam(policy.layers.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(seed)
    error = float("nan")
    for _ in range(epochs):
        errors = []
        for rows in torch.randperm(len(observations), generator=generator).split(128):
            loss = (policy(observations[rows]) - actions[rows]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            errors.append(loss.item())
        error = float(np.mean(errors))
    return error
