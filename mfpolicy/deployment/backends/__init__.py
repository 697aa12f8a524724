"""What runs a compiled policy, by name."""

from __future__ import annotations

import torch

from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.backends.base import BACKENDS, Backend, Target, build_backend
from mfpolicy.deployment.backends.cuda_graph import CudaGraphBackend
from mfpolicy.deployment.backends.onnx import OnnxBackend
from mfpolicy.deployment.backends.packed import PackedBackend, can_pack
from mfpolicy.deployment.backends.tensors import EagerBackend, InductorBackend

__all__ = [
    "BACKENDS",
    "Backend",
    "CudaGraphBackend",
    "EagerBackend",
    "InductorBackend",
    "OnnxBackend",
    "PackedBackend",
    "Target",
    "automatic",
    "build_backend",
]


def automatic(module: ActionModule, device: torch.device) -> str:
    """The name of the backend that a policy gets on a device."""
    if device.type == "cuda":
        return "cuda_graph"
    return "packed" if device.type == "cpu" and can_pack(module) else "eager"
