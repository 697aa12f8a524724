"""How an evaluation lets a policy decide: the settings that change an outcome, as one value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mfpolicy.deployment import chunking
from mfpolicy.errors import ConfigError
from mfpolicy.options import check_range
from mfpolicy.policy.policy import MAX_NOISE_SCALE

PLAIN = "receding_horizon"
"""The execution of chunks that is meant where none is said, with its defaults."""

MAX_LATENCY_MS = 60_000.0


@dataclass(frozen=True)
class Conditions:
    """How a policy decides in an evaluation.

    Attributes:
        device, steps, noise_scale, guidance_scale, latency_ms, compiled, task: as in
            :func:`mfpolicy.evaluation.evaluate`.
        execution: likewise; for a record as :func:`whole_execution` returns it.

    Raises:
        ConfigError: an argument is out of range.

    Example:
        >>> Conditions(latency_ms=50.0).delay_steps(80.0)
        4
    """

    device: str = "cpu"
    steps: int | None = None
    noise_scale: float = 1.0
    guidance_scale: float | None = None
    execution: Mapping[str, Any] | None = None
    latency_ms: float = 0.0
    compiled: Mapping[str, str] | None = None
    task: str | None = None

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise ConfigError("steps must be at least 1", received=self.steps)
        check_range("noise_scale", self.noise_scale, 0, MAX_NOISE_SCALE)
        check_range("latency_ms", self.latency_ms, 0, MAX_LATENCY_MS)

    def delay_steps(self, rate_hz: float) -> int:
        """The whole number of control steps that the latency lasts: an answer waits for the next.

        Example:
            >>> [Conditions(latency_ms=ms).delay_steps(80.0) for ms in (0, 50, 51, 300)]
            [0, 4, 5, 24]
        """
        return math.ceil(self.latency_ms / 1e3 * rate_hz - 1e-9)  # 0.1 s · 80 Hz is not 9

    def facts(self) -> dict[str, Any]:
        """What a record keeps of them: nothing of what is as records without it mean it."""
        return {
            **({"noise_scale": self.noise_scale} if self.noise_scale != 1 else {}),
            **({} if self.guidance_scale is None else {"guidance_scale": self.guidance_scale}),
            **({} if self.execution is None else {"execution": dict(self.execution)}),
            **({"latency_ms": self.latency_ms} if self.latency_ms else {}),
            **({} if self.compiled is None else {"compiled": dict(self.compiled)}),
        }


def whole_execution(execution: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The execution with every option, None where it is the plain one, as old records have it.

    Raises:
        ConfigError: there is no such execution, or no such option.
    """
    if execution is None:
        return None
    name, given = execution.get("name", ""), {k: v for k, v in execution.items() if k != "name"}
    known = chunking.EXECUTIONS.options(name)
    chunking.build(name, **given)
    whole = {option: given.get(option, known[option].default) for option in known}
    plain = {option: known[option].default for option in known}
    return None if name == PLAIN and whole == plain else {"name": name, **whole}
