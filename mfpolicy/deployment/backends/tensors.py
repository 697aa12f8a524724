"""Backends that run the module of tensors itself."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.backends.base import BACKENDS, Target
from mfpolicy.errors import BackendError


def low_precision(precision: str, device: torch.device) -> torch.autocast:
    """The context in which matrix products are done in ``precision``."""
    dtype = torch.float16 if precision == "float16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision != "float32")


def network_bytes(module: ActionModule) -> int:
    """Bytes of all weights of the network."""
    return sum(weight.nbytes for weight in module.policy.network.parameters())


class _TensorBackend:
    """Copies in, runs a function of tensors, copies out."""

    precisions = ("float32", "bfloat16")
    devices: tuple[str, ...] = ("cpu", "cuda", "mps")

    def __init__(self, module: ActionModule, target: Target) -> None:
        self.device, self.precision = target.device, target.precision
        self.module = module.to(target.device)
        self.weight_bytes = network_bytes(module)
        self.encoded_ns: int | None = None
        self.function: Callable[..., torch.Tensor] = self._in_two

    def _in_two(
        self, point_cloud: torch.Tensor, agent_pos: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        condition = self.module.encode(point_cloud, agent_pos)
        if self.device.type == "cpu":  # elsewhere the work is only launched by now
            self.encoded_ns = time.perf_counter_ns()
        return self.module.decode(condition, noise)

    @torch.inference_mode()
    def __call__(
        self, point_cloud: np.ndarray, agent_pos: np.ndarray, noise: np.ndarray
    ) -> np.ndarray:
        """Runs the function."""
        tensors = [torch.from_numpy(x).to(self.device) for x in (point_cloud, agent_pos, noise)]
        with low_precision(self.precision, self.device):
            return self.function(*tensors).float().cpu().numpy()


@BACKENDS.register("eager")
class EagerBackend(_TensorBackend):
    """PyTorch as it is: every device, every policy."""


@BACKENDS.register("inductor")
class InductorBackend(_TensorBackend):
    """``torch.compile``; on a CPU with the weights frozen into the code. Needs a C++ compiler.

    Raises:
        BackendError: the compiler failed, or there is none.
    """

    def __init__(self, module: ActionModule, target: Target) -> None:
        super().__init__(module, target)
        self.function = torch.compile(
            self.module, fullgraph=True, dynamic=False, options={"freezing": True}
        )
        from torch._dynamo.exc import TorchDynamoException

        inputs = [x.numpy() for x in module.example_inputs(target.batch)]
        try:
            self(*inputs)
        except TorchDynamoException as error:
            raise BackendError(
                "the backend inductor needs a compiler, and a policy that it can compile",
                received=str(error).splitlines()[0],
                remedy="install g++, or use another backend",
            ) from error
