"""`Runtime`: host observation in, host action chunk out, on fixed buffers, at one batch size."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.backends import Target, automatic, build_backend
from mfpolicy.errors import ObservationError, RunError
from mfpolicy.options import check_whole
from mfpolicy.policy import Policy
from mfpolicy.policy.files import check_device
from mfpolicy.policy.observation import check_colors, color_remedy
from mfpolicy.policy.tasks import task_numbers
from mfpolicy.types import Observation


class Runtime:
    """A policy compiled for one device and batch size; see :meth:`mfpolicy.policy.Policy.compile`.

    Args:
        policy: a trained policy; its weights are copied.
        device: cpu, cuda, cuda:N or mps.
        batch: B, rows of every call.
        backend: auto, packed, onnx, inductor, cuda_graph or eager.
        precision: of the weights or the arithmetic, as the backend knows it.
        threads: of a CPU; None takes PyTorch's.
        steps, noise_scale, guidance_scale: as in :meth:`mfpolicy.policy.Policy.predict`.

    Attributes:
        spec: what the policy is. batch: B. steps: NFE. backend: the name of what runs it.
        marks_ns: of the last call, when the backend began, had its condition (None where it does
            not say) and ended, by ``time.perf_counter_ns``.

    Raises:
        ConfigError: the policy cannot be compiled so.
        BackendError: this machine has no such device, or lacks a package or a compiler.

    Example:
        >>> import mfpolicy
        >>> policy = mfpolicy.build_policy("mp1_small", point_dim=3, state_dim=9, action_dim=4)
        >>> decide = policy.compile(backend="eager")
        >>> cloud, state = np.zeros((1, 2, 256, 3)), np.zeros((1, 2, 9))
        >>> decide({"point_cloud": cloud, "agent_pos": state}).shape
        (1, 3, 4)
    """

    def __init__(
        self,
        policy: Policy,
        *,
        device: str | torch.device = "cpu",
        batch: int = 1,
        backend: str = "auto",
        precision: str = "float32",
        threads: int | None = None,
        steps: int | None = None,
        noise_scale: float = 1.0,
        guidance_scale: float | None = None,
    ) -> None:
        check_whole("batch", batch, 1, 65_536)
        threads = torch.get_num_threads() if threads is None else threads
        check_whole("threads", threads, 1, 4096)
        module = ActionModule(
            policy, steps=steps, noise_scale=noise_scale, guidance_scale=guidance_scale
        )
        place = check_device(device)
        target = Target(place, batch, precision, threads)
        self.spec = policy.spec
        self.steps = module.steps
        self.batch = batch
        self.backend = automatic(module, place) if backend == "auto" else backend
        self._noise = policy.objective.noise
        self._watched = [*policy.parameters(), *policy.buffers()]
        self._versions = _versions(self._watched)
        cloud, state, noise = (x.numpy() for x in module.example_inputs(batch))
        self._buffers = {"point_cloud": cloud, "agent_pos": state, "noise": noise}
        self._run = build_backend(self.backend, module.cpu(), target)
        self.marks_ns: tuple[int, int | None, int] = (0, None, 0)
        self._run(cloud, state, noise)  # what is done at the first call is done now

    def __call__(
        self,
        observation: Observation | Mapping[str, Any],
        *,
        noise: np.ndarray | None = None,
        generator: torch.Generator | None = None,
    ) -> np.ndarray:
        """Turns an observation into actions.

        Args:
            observation: point_cloud (B, To, P, C) in metres in the world frame, colors from 0 to
                255, and agent_pos (B, To, S), on the host.
            noise: (B, Th, A), distributed as the objective's noise; the same noise gives the same
                actions. None draws.
            generator: draws the noise where none is given.

        Returns:
            Actions (B, Ta, A) float32 in the environment's units.

        Raises:
            ObservationError: a key is missing, a shape is not the compiled one, a value is not a
                finite number or no color.
            RunError: the policy's weights were changed since it was compiled.
        """
        if _versions(self._watched) != self._versions:
            raise RunError(
                "the weights must be those that were compiled, and they were changed since",
                remedy="compile the policy again",
            )
        fields = observation if isinstance(observation, Mapping) else vars(observation)
        for key in ("point_cloud", "agent_pos"):
            if key not in fields:
                raise ObservationError(
                    f"an observation must have the key {key!r}", received=sorted(fields)
                )
            self._fill(key, fields[key])
        rows = len(self._buffers["noise"])
        task_numbers(observation, self.spec, rows, torch.device("cpu"))  # another one is refused
        if noise is None:
            shape = self._buffers["noise"].shape
            noise = self._noise.draw(shape, generator=generator).numpy()
        self._fill("noise", noise)
        begun_ns = time.perf_counter_ns()
        actions = self._run(*self._buffers.values())
        self.marks_ns = (begun_ns, self._run.encoded_ns, time.perf_counter_ns())
        return actions

    @property
    def weight_bytes(self) -> int:
        """Bytes of the network's weights that one evaluation reads."""
        return self._run.weight_bytes

    def _fill(self, key: str, given: Any) -> None:
        buffer = self._buffers[key]
        value = np.asarray(given)
        if value.dtype.kind not in "fiu":
            raise ObservationError(
                f"{key} must be an array of real numbers", received=str(value.dtype)
            )
        if value.shape != buffer.shape:
            if key == "point_cloud" and self._takes_any_number_of_points(value.shape):
                buffer = self._buffers[key] = np.empty(value.shape, np.float32)
            else:
                raise ObservationError(
                    f"{key} must have the shape that was compiled, {buffer.shape}",
                    received=value.shape,
                    remedy=_remedy(key, buffer.shape, value.shape),
                )
        np.copyto(buffer, value, casting="unsafe")
        if not np.isfinite(buffer).all():
            raise ObservationError(
                f"{key} must be finite",
                received=f"{int((~np.isfinite(buffer)).sum())} NaN or infinite values",
                remedy="drop the frame, or the points, before the policy sees them",
            )
        if key == "point_cloud" and self.spec.color:
            check_colors(buffer)

    def _takes_any_number_of_points(self, shape: tuple[int, ...]) -> bool:
        fixed = self._buffers["point_cloud"].shape
        free = self.spec.points is None and self.backend in ("packed", "onnx", "eager")
        others = shape[:2] + shape[3:] == fixed[:2] + fixed[3:]
        return free and others and len(shape) == 4 and shape[2] > 0


def _remedy(key: str, wanted: tuple[int, ...], given: tuple[int, ...]) -> str:
    if len(given) == len(wanted) and given[1:] == wanted[1:]:
        return f"compile with batch={given[0]}"
    stack = "stack the last To frames, sampled as the policy's recipe says"
    return color_remedy(key, wanted, given) or stack


def _versions(tensors: list[torch.Tensor]) -> list[int]:
    """Counts that go up with every change in place; tensors of inference mode have none."""
    return [0 if tensor.is_inference() else tensor._version for tensor in tensors]
