"""A U-Net on packed weights: a table of layers that a compiled loop runs through."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfpolicy.deployment.packed.interval import TimeShare
from mfpolicy.deployment.packed.layer import run_on_many, run_on_one
from mfpolicy.deployment.packed.plan import Place, plan_unet

_NOTHING = np.zeros(0, np.float32)


class PackedUNet:
    """The :class:`~mfpolicy.deployment.packed.networks.PackedNetwork` of a ``unet1d``.

    Args:
        network: a UNet1D; what is packed is taken from it, time and guidance stay.
        share: of time and guidance in the modulation.
        batch: B. precision: of the weights. threads: that share a layer.
    """

    def __init__(
        self, network: Any, share: TimeShare, *, batch: int, precision: str, threads: int
    ) -> None:
        self._share = share
        self._run = run_on_one if threads == 1 else run_on_many
        self._plan = plan_unet(network, precision)
        self.weight_bytes = self._plan.weights.nbytes
        for part in ("down", "shrink", "middle", "up", "grow", "final", "project"):
            delattr(network, part)
        self._arena = np.zeros((batch, self._plan.size), np.float32)
        self._films: dict[tuple[float, float], np.ndarray] = {}

    def prepare(self, activated: np.ndarray) -> None:
        """Computes the condition's share of all scales and shifts from Mish(condition) (B, C)."""
        self._sequence(self._plan.condition)[:, 0] = activated
        self._layers(self._plan.table[:1], _NOTHING)

    def velocity(self, z: np.ndarray, r: float, t: float) -> np.ndarray:
        """u(z, r, t) under the condition, z and u (B, Th, A)."""
        self._sequence(self._plan.noise)[:] = z
        self._layers(self._plan.table[1:], self._film(r, t))
        return self._sequence(self._plan.velocity)

    def _layers(self, table: np.ndarray, film: np.ndarray) -> None:
        plan, arena = self._plan, self._arena
        self._run(
            table, plan.weights, plan.vectors, plan.pairs, arena.reshape(-1), len(arena), film
        )

    def _film(self, r: float, t: float) -> np.ndarray:
        """The share of (r, t) at the places that the film has in the arena."""
        if (r, t) not in self._films:
            start, _ = self._plan.film
            self._films[r, t] = np.concatenate([np.zeros(start, np.float32), self._share(r, t)])
        return self._films[r, t]

    def _sequence(self, place: Place) -> np.ndarray:
        """A place of the arena as (B, L, C)."""
        flat = self._arena[:, place.start : place.start + place.steps * place.row]
        return flat.reshape(len(self._arena), place.steps, place.row)[:, :, : place.width]
