"""Evaluates what is deployed: the compiled policy in the place of the policy itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mfpolicy.deployment import Runtime
from mfpolicy.errors import ConfigError
from mfpolicy.policy import Policy, PolicySpec

EXECUTIONS = ("receding_horizon", "temporal_ensembling")
"""What a compiled policy can work with: the others ask for a chunk that agrees with a plan."""


class CompiledRollout:
    """A :class:`mfpolicy.evaluation.latency.RolloutPolicy` that a runtime decides for.

    All of a decision is its ``decode``: a runtime does not part encoder and network.

    Args:
        policy: the policy.
        compiled: ``backend`` and ``precision`` of :class:`mfpolicy.deployment.Runtime`.
        steps, noise_scale, guidance_scale: as in :meth:`mfpolicy.policy.Policy.predict`.

    Raises:
        ConfigError: the policy cannot be compiled so.
    """

    def __init__(
        self,
        policy: Policy,
        compiled: Mapping[str, str],
        *,
        steps: int,
        noise_scale: float,
        guidance_scale: float | None,
    ) -> None:
        self.spec: PolicySpec = policy.spec
        self._runtime = policy.compile(
            device=policy.device,
            backend=compiled["backend"],
            precision=compiled["precision"],
            steps=steps,
            noise_scale=noise_scale,
            guidance_scale=guidance_scale,
        )

    @property
    def runtime(self) -> Runtime:
        """What decides."""
        return self._runtime

    def parameters(self) -> tuple[torch.nn.Parameter, ...]:
        """None: noise is drawn on the host."""
        return ()

    def prepare(self, observation: dict[str, Any]) -> dict[str, Any]:
        """The observation as it is."""
        return observation

    def encode(self, prepared: dict[str, Any]) -> dict[str, Any]:
        """The observation as it is."""
        return prepared

    def decode(
        self,
        condition: dict[str, Any],
        *,
        steps: int,
        generator: torch.Generator,
        noise_scale: float,
        guidance_scale: float | None,
    ) -> torch.Tensor:
        """Actions (1, Ta, A); steps and scales are those that were compiled."""
        return torch.from_numpy(self._runtime(condition, generator=generator))


def check_compiled(compiled: Mapping[str, str], execution: str) -> None:
    """Refuses an execution that needs more than a compiled policy gives.

    Raises:
        ConfigError: it asks for chunks that agree with a plan.
    """
    if execution not in EXECUTIONS:
        raise ConfigError(
            "a compiled policy decides without a plan in view, so the execution must be one of "
            + ", ".join(EXECUTIONS),
            received=execution,
            remedy="leave backend and precision out",
        )
