"""The network's passes with graph, compiled: on a GPU also as CUDA graphs."""

from __future__ import annotations

import torch

from mfpolicy.errors import BackendError
from mfpolicy.policy import Policy

_MODES = {"default": "default", "cuda_graphs": "reduce-overhead"}


def compile_network(policy: Policy, *, mode: str) -> None:
    """Has the network's passes with graph compiled; targets and du/dt stay as they are.

    Args:
        policy: on the device that trains.
        mode: ``default``, or ``cuda_graphs``: forward and backward are replayed as CUDA graphs, so
            that a small network is not held up by its launches.

    Raises:
        BackendError: there is no C++ compiler for a CPU's code, or no CUDA device for its graphs.
    """
    if mode == "cuda_graphs" and policy.device.type != "cuda":
        raise BackendError(
            "training.compile=cuda_graphs needs a CUDA device",
            received=str(policy.device),
            remedy="use training.compile=default or none",
        )
    if policy.device.type == "cpu":
        _require_compiler()
    network = policy.network
    network.compiled_features = torch.compile(network.features, dynamic=False, mode=_MODES[mode])


def _require_compiler() -> None:
    from torch._inductor import exc
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except exc.InvalidCxxCompiler as error:
        raise BackendError(
            "training.compile on a CPU needs a C++ compiler",
            received=str(error).partition("\n")[0],
            remedy="install g++, or set training.compile=none",
        ) from error
