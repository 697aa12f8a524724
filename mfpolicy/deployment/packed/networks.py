"""Which networks there are loops for, and what these offer to the policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.networks import MlpMixer, Network, UNet1D


class PackedNetwork(Protocol):
    """A network on packed weights, with buffers for the rows of a batch.

    Attributes:
        weight_bytes: of the weights that one condition and one evaluation read.
    """

    weight_bytes: int

    def prepare(self, activated: np.ndarray) -> None:
        """Does what depends on the condition alone, once a decision.

        Args:
            activated: Mish(condition), (B, C) float32.
        """
        ...

    def velocity(self, z: np.ndarray, r: float, t: float) -> np.ndarray:
        """Returns u(z, r, t) under the condition last prepared for, (B, Th, A) float32.

        Args:
            z: (B, Th, A) float32.
            r: of every row.
            t: of every row.

        Returns:
            A view; the next call writes over it.
        """
        ...


def _unet() -> Callable[..., PackedNetwork]:
    from mfpolicy.deployment.packed.unet import PackedUNet

    return PackedUNet


def _mixer() -> Callable[..., PackedNetwork]:
    from mfpolicy.deployment.packed.mixer import PackedMixer

    return PackedMixer


PACKED: dict[type[Network], Callable[[], Callable[..., PackedNetwork]]] = {
    UNet1D: _unet,
    MlpMixer: _mixer,
}
"""Networks with loops of their own; numba is imported when they are asked for."""


def pack_network(
    module: ActionModule, *, batch: int, precision: str, threads: int
) -> PackedNetwork:
    """Packs a policy's network, whose layers are taken from it.

    Args:
        module: a policy; the type of its network is in ``PACKED``.
        batch: rows of every call.
        precision: of the weights.
        threads: that share a layer.
    """
    from mfpolicy.deployment.packed.interval import TimeShare

    network = module.policy.network
    loops = PACKED[type(network)]()
    return loops(network, TimeShare(module), batch=batch, precision=precision, threads=threads)
