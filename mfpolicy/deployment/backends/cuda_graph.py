"""A decision on an NVIDIA GPU as one recorded graph: one launch in place of hundreds."""

from __future__ import annotations

import numpy as np
import torch

from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.backends.base import BACKENDS, Target
from mfpolicy.deployment.backends.tensors import low_precision, network_bytes

WARM_UP = 3


@BACKENDS.register("cuda_graph")
class CudaGraphBackend:
    """Replays the recorded work of one decision on fixed buffers.

    Host arrays go through pinned memory, so that copies and kernels follow one another on one
    stream and the host waits once, at the end.
    """

    precisions = ("float32", "bfloat16", "float16")
    devices = ("cuda",)
    encoded_ns = None

    def __init__(self, module: ActionModule, target: Target) -> None:
        device = target.device
        self.module = module.to(device)
        self.weight_bytes = network_bytes(module)
        examples = module.example_inputs(target.batch)
        self._host = [x.pin_memory() for x in examples]
        self._inputs = [x.to(device) for x in examples]
        self._stream = torch.cuda.Stream(device)
        arithmetic = low_precision(target.precision, device)
        with torch.inference_mode(), torch.cuda.stream(self._stream), arithmetic:
            for _ in range(WARM_UP):
                self.module(*self._inputs)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=self._stream):
                self._output = self.module(*self._inputs).float()
        self._stream.synchronize()
        self._result = torch.empty(self._output.shape, pin_memory=True)

    @torch.inference_mode()
    def __call__(
        self, point_cloud: np.ndarray, agent_pos: np.ndarray, noise: np.ndarray
    ) -> np.ndarray:
        """Copies in, replays, copies out."""
        with torch.cuda.stream(self._stream):
            for given, host, here in zip(
                (point_cloud, agent_pos, noise), self._host, self._inputs, strict=True
            ):
                host.copy_(torch.from_numpy(given))
                here.copy_(host, non_blocking=True)
            self._graph.replay()
            self._result.copy_(self._output, non_blocking=True)
        self._stream.synchronize()
        return self._result.numpy().copy()
