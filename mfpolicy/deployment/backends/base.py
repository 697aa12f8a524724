"""What runs an :class:`ActionModule`, by name: a function of host arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.errors import ConfigError
from mfpolicy.registry import Registry


@dataclass(frozen=True)
class Target:
    """What to run a policy for.

    Attributes:
        device: where it runs. batch: rows of every call. precision: of weights or arithmetic.
        threads: of a CPU.
    """

    device: torch.device
    batch: int
    precision: str
    threads: int


class Backend(Protocol):
    """A policy that is ready to run: host arrays in, a host array out.

    Attributes:
        precisions: the values of ``precision`` that it knows. devices: types of device.
        encoded_ns: when the last call had its condition, by ``time.perf_counter_ns``; None where
            encoder and network are one.
        weight_bytes: of the network's weights that one evaluation reads.
    """

    precisions: tuple[str, ...]
    devices: tuple[str, ...]
    encoded_ns: int | None
    weight_bytes: int

    def __call__(
        self, point_cloud: np.ndarray, agent_pos: np.ndarray, noise: np.ndarray, /
    ) -> np.ndarray:
        """(B, To, P, C), (B, To, S), (B, Th, A) float32 → actions (B, Ta, A) float32."""
        ...


BACKENDS: Registry[Backend] = Registry("backend")


def build_backend(name: str, module: ActionModule, target: Target) -> Backend:
    """Builds the backend of this name.

    Raises:
        ConfigError: there is no such backend, or it does not know the device or the precision.
    """
    cls = BACKENDS.get(name)
    for what, value, known in (
        ("device", target.device.type, cls.devices),
        ("precision", target.precision, cls.precisions),
    ):
        if value not in known:
            raise ConfigError(
                f"{what} of the backend {name!r} must be one of {list(known)}",
                received=value,
                remedy="leave backend out to get the one for this device",
            )
    return cls(module, target)  # type: ignore[call-arg]
