"""An MLP-Mixer on packed weights: one compiled call for a condition, one for an evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mfpolicy.deployment.packed.branches import (
    condition_on_many,
    condition_on_one,
    run_on_many,
    run_on_one,
)
from mfpolicy.deployment.packed.interval import TimeShare
from mfpolicy.deployment.packed.weights import pack
from mfpolicy.networks.modulated import PARTS


class PackedMixer:
    """The :class:`~mfpolicy.deployment.packed.networks.PackedNetwork` of an ``mlp_mixer``.

    The matrices over channels, and that of the condition, are packed; those over steps, and into
    and out of the chunk, are a hundredth of the weights and stay in float32.

    Args:
        network: an MlpMixer; what is packed is taken from it, time and guidance stay.
        share: of time and guidance in the modulation.
        batch: B. precision: of the weights. threads: that share a layer.
    """

    def __init__(
        self, network: Any, share: TimeShare, *, batch: int, precision: str, threads: int
    ) -> None:
        self._share = share
        self._condition = condition_on_one if threads == 1 else condition_on_many
        self._run = run_on_one if threads == 1 else run_on_many
        horizon, actions, width = network.horizon, network.action_dim, network.enter.out_features
        of_steps = network.steps[0].mlp[0].out_features
        of_channels = network.channels[0].mlp[0].out_features
        inputs, outputs = network.condition_dim, network.modulation_dim
        self._sizes = (batch, horizon, actions, width, len(network.steps), of_steps, of_channels)
        weights, vectors, matrices = _packed(network, precision)
        self.weight_bytes = weights.nbytes + 4 * matrices
        for part in ("film_condition", "enter", "place", "steps", "channels", "norm", "leave"):
            delattr(network, part)
        columns = batch * horizon
        hidden = max(columns * of_channels, batch * width)  # or one unit of every MLP over steps
        sizes = [columns * actions, columns * width, columns * width, hidden]
        sizes += [batch * outputs, batch * outputs, columns * actions, batch * inputs]
        *places, activated, end = np.cumsum([0, *sizes]).tolist()
        self._places = tuple(places)
        self._arena = np.zeros(end, np.float32)
        self._noise, self._velocity = (
            self._arena[place : place + columns * actions].reshape(batch, horizon, actions)
            for place in (places[0], places[-1])
        )
        self._activated = self._arena[activated:].reshape(batch, inputs)
        self._of_condition = (weights, inputs, vectors, outputs, self._arena, activated)
        self._of_branches = (weights[inputs * outputs :], vectors[2 * outputs :], self._arena)

    def prepare(self, activated: np.ndarray) -> None:
        """Computes the condition's share of the modulation from Mish(condition) (B, C)."""
        self._activated[:] = activated
        self._condition(*self._of_condition, len(activated), self._places[5])

    def velocity(self, z: np.ndarray, r: float, t: float) -> np.ndarray:
        """u(z, r, t) under the condition, z and u (B, Th, A)."""
        self._noise[:] = z
        self._run(self._sizes, self._places, *self._of_branches, self._share(r, t))
        return self._velocity


def _packed(network: Any, precision: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Stored weights, float32 vectors, and how many of the latter are entries of matrices."""
    stored: list[np.ndarray] = []
    vectors: list[np.ndarray] = []
    matrices = 0

    def store(weight: torch.Tensor, bias: torch.Tensor) -> None:
        rows, scale = pack(weight.numpy(), precision)
        stored.append(rows.ravel())
        vectors.extend([scale, bias.numpy()])

    def keep(*parts: torch.Tensor) -> None:
        nonlocal matrices
        matrices += sum(part.numel() for part in parts if part.ndim == 2)
        vectors.extend(part.numpy().ravel() for part in parts)

    # the loops multiply by (1 + s) and (1 + g): their ones are in the bias
    ones = torch.tensor([1.0, 0.0, 1.0]).repeat(network.branches)
    width = network.modulation_dim // (PARTS * network.branches)
    store(
        network.film_condition.weight, network.film_condition.bias + ones.repeat_interleave(width)
    )
    keep(network.enter.weight.T, network.place + network.enter.bias)
    for steps, channels in zip(network.steps, network.channels, strict=True):
        into, _, out = steps.mlp
        keep(torch.cat([into.weight, out.weight.T, into.bias[:, None]], dim=1), out.bias)
        for layer in channels.mlp[::2]:
            store(layer.weight, layer.bias)
    keep(network.leave.weight, network.leave.bias)
    return np.concatenate(stored), np.concatenate(vectors), matrices
