"""Times one decision from host observation to host action, stage by stage."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch

from mfpolicy.deployment.chunking import Request
from mfpolicy.deployment.chunking.steering import decode_steered
from mfpolicy.types import EpisodeResult

if TYPE_CHECKING:
    from mfpolicy.policy import Policy

STAGES = ("points", "copy", "encoder", "network", "total")
"""The timed stages.

``points``: unproject, crop and sample the newest frame's cloud (the environment's own time).
``copy``: stack the frames, check, move to the device, normalize; and the actions back to host.
``encoder``: observation to condition. ``network``: condition to actions, all NFE.
``total``: copy + encoder + network, host observation in to host action out, without ``points``.
"""


class RolloutPolicy(Protocol):
    """What an evaluation asks of a policy; :class:`mfpolicy.policy.Policy` has it."""

    spec: Any

    def parameters(self) -> Iterable[torch.nn.Parameter]:
        """The weights, whose device is the policy's."""
        ...

    def prepare(self, observation: dict[str, Any], /) -> Any:
        """Host observation to normalized tensors on the device."""
        ...

    def encode(self, prepared: Any, /) -> Any:
        """Prepared observation to condition."""
        ...

    def decode(
        self,
        condition: Any,
        /,
        *,
        steps: int,
        generator: torch.Generator,
        noise_scale: float,
        guidance_scale: float | None,
    ) -> torch.Tensor:
        """Condition to actions (B, Ta, A) in environment units."""
        ...


@dataclass(frozen=True)
class Decision:
    """The actions of one decision, with the milliseconds that each stage took.

    Attributes:
        actions: (Ta, A) float32 on the host, as the policy gave them.
        latencies_ms: copy, encoder, network and total.
    """

    actions: np.ndarray
    latencies_ms: dict[str, float]


def policy_device(policy: RolloutPolicy) -> torch.device:
    """The device of the policy's weights; the CPU for a policy without weights."""
    return next((weight.device for weight in policy.parameters()), torch.device("cpu"))


@torch.inference_mode()
def decide(
    policy: RolloutPolicy,
    frames: Sequence[dict[str, np.ndarray]],
    *,
    steps: int,
    generator: torch.Generator,
    noise_scale: float = 1.0,
    guidance_scale: float | None = None,
    request: Request | None = None,
) -> Decision:
    """Asks the policy for one action chunk and times it.

    On an accelerator the clock is read after a synchronization, so that a stage's time is the
    time of its work and not of its launch.

    Args:
        policy: the policy.
        frames: the last To observations, oldest first, each with point_cloud (P, C) in metres
            and agent_pos (S,).
        steps: network evaluations (NFE).
        generator: source of the policy's noise, on the policy's device.
        noise_scale: factor on that noise.
        guidance_scale: of a network that takes it as an input; None takes the objective's.
        request: what the decision is to agree with; only a
            :class:`mfpolicy.policy.Policy` can agree with anything.
    """
    synchronize = _synchronizer(policy_device(policy))
    synchronize()
    ticks_ns = [time.perf_counter_ns()]

    def tick() -> None:
        synchronize()
        ticks_ns.append(time.perf_counter_ns())

    observation = {key: np.stack([frame[key] for frame in frames])[None] for key in frames[-1]}
    prepared = policy.prepare(observation)
    tick()
    condition = policy.encode(prepared)
    tick()
    decode = policy.decode
    if request is not None and request.steered:
        decode = functools.partial(decode_steered, cast("Policy", policy), request=request)
    actions = decode(  # (1, Ta, A)
        condition,
        steps=steps,
        generator=generator,
        noise_scale=noise_scale,
        guidance_scale=guidance_scale,
    )
    tick()
    actions_host = actions[0].float().cpu().numpy()  # (Ta, A)
    tick()
    prepare_ms, encoder_ms, network_ms, host_ms = np.diff(ticks_ns) / 1e6
    return Decision(
        actions_host,
        {
            "copy": float(prepare_ms + host_ms),
            "encoder": float(encoder_ms),
            "network": float(network_ms),
            "total": (ticks_ns[-1] - ticks_ns[0]) / 1e6,
        },
    )


def latency_percentiles(results: Iterable[EpisodeResult]) -> dict[str, dict[str, float]]:
    """p50, p95, p99, max and count of every stage over all decisions, in milliseconds.

    Percentiles interpolate linearly between order statistics. Stages nobody timed are left out.
    """
    pooled: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for result in results:
        for stage, values in result.latencies_ms.items():
            pooled[stage].extend(values)
    return {stage: _percentiles(values) for stage, values in pooled.items() if values}


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(values, (50, 95, 99))
    top = float(np.max(values))
    return {"p50": float(p50), "p95": float(p95), "p99": float(p99), "max": top, "n": len(values)}


def _synchronizer(device: torch.device) -> Callable[[], None]:
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None
