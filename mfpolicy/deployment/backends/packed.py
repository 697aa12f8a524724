"""The backend ``packed``: compiled loops over packed weights, on a CPU."""

from __future__ import annotations

import threading

import numpy as np

from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.backends.base import BACKENDS, Target
from mfpolicy.deployment.packed.networks import PACKED
from mfpolicy.encoders.pointnet import PointNet
from mfpolicy.errors import ConfigError
from mfpolicy.networks import NETWORKS

_ONE_AT_A_TIME = threading.Lock()
"""Threads of the caller that meet in a parallel loop may end the process, so they take turns."""


def can_pack(module: ActionModule) -> bool:
    """Whether the parts of a policy are those that there are loops for."""
    encoder, network = module.policy.encoder, module.policy.network
    return isinstance(encoder.cloud, PointNet) and encoder.plain and type(network) in PACKED


@BACKENDS.register("packed")
class PackedBackend:
    """A PointNet with a U-Net or an MLP-Mixer; only packed weights are read, once a decision.

    Raises:
        ConfigError: the policy has other parts.
    """

    precisions = ("float32", "bfloat16", "int8")
    devices = ("cpu",)

    def __init__(self, module: ActionModule, target: Target) -> None:
        if not can_pack(module):
            known = [name for name in NETWORKS.names() if NETWORKS.get(name) in PACKED]
            raise ConfigError(
                "packed weights are for the encoder pointnet, of one cloud, without fusion and "
                f"history of its own, with the network {' or '.join(known)}",
                received=(dict(module.spec.encoder), module.spec.network["name"]),
                remedy="compile with backend=onnx, inductor or eager",
            )
        from mfpolicy.deployment.packed.policy import PackedPolicy

        self.policy = PackedPolicy(
            module, batch=target.batch, precision=target.precision, threads=target.threads
        )

    @property
    def weight_bytes(self) -> int:
        """As packed."""
        return self.policy.weight_bytes

    @property
    def encoded_ns(self) -> int | None:
        """When the last call had its condition."""
        return self.policy.encoded_ns

    def __call__(
        self, point_cloud: np.ndarray, agent_pos: np.ndarray, noise: np.ndarray
    ) -> np.ndarray:
        """Runs the loops."""
        with _ONE_AT_A_TIME:
            return self.policy(point_cloud, agent_pos, noise)
